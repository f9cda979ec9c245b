"""Names of metrics and options of an evaluation, checked against the data set before anything is worked out."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmdet.core.evaluation.eval_hooks import DistEvalHook
from mmdet.datasets.builder import DATASETS
from mmdet.datasets.cityscapes import CityscapesDataset
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.coco_keypoints import CocoKeypointDataset
from mmdet.datasets.coco_panoptic import METRICS as PANOPTIC_METRICS
from mmdet.datasets.coco_panoptic import CocoPanopticDataset
from mmdet.datasets.custom import CustomDataset
from mmdet.datasets.lvis import LVISV05Dataset
from mmdet.datasets.metrics.class_figures import F1_ITEMS, MARK, wants_f1
from mmdet.datasets.metrics.coco_metrics import METRICS, PRECISION_ITEMS, recall_items
from mmdet.datasets.openimages import OpenImagesDataset
from mmdet.datasets.voc import VOCDataset
from mmdet.utils.configs.config_error import ConfigKeyError, config_key
from mmdet.utils.registry import did_you_mean

# classes with an `evaluate` of their own -> what it takes as metric; classes from elsewhere are not checked
KNOWN_METRICS = {
    CustomDataset: ('mAP', 'recall'),
    VOCDataset: ('mAP', 'recall'),
    OpenImagesDataset: ('mAP',),
    CocoDataset: METRICS,
    LVISV05Dataset: METRICS,
    CocoKeypointDataset: (*METRICS, 'keypoints'),
    CityscapesDataset: (*METRICS, 'cityscapes'),
    CocoPanopticDataset: (*PANOPTIC_METRICS, 'pq'),
}
ANY_CLASS = 'CLASS'  # in names of figures of a class
DEFAULT_PROPOSAL_NUMS = (100, 300, 1000)


def check_evaluation(
    settings: dict[str, Any], dataset: Any, where: str = 'evaluation', monitors: Mapping[str, str] | None = None
) -> None:
    """Check the settings of an evaluation.

    Args:
        settings: ``cfg.evaluation``, or the arguments of a data set's ``evaluate``.
        dataset: config of the data set, of a wrapper, or a list of them.
        where: what errors call the settings.
        monitors: figures that hooks ask for, by the key of the config that names them.

    Raises:
        ConfigKeyError: an argument, a metric, or a name in ``metric_items`` or ``save_best`` that is not known.
    """
    hook_keys = set(hook_arguments())
    all_figures: list[tuple[list[str], bool]] = []
    with config_key(where):
        for cls in dataset_classes(dataset):
            evaluate = getattr(cls, 'evaluate', None)
            if evaluate is None:
                continue
            known = evaluate_arguments(cls)
            for key in settings:
                if known is not None and key not in hook_keys and key not in known:
                    names = sorted({*known, *hook_keys})
                    raise ConfigKeyError(f'nothing reads {key!r}{did_you_mean(key, names)} Read: {", ".join(names)}.')
            figures = _checked_names(settings, cls)
            if MARK in str(settings.get('save_best')):
                raise ConfigKeyError(
                    f'save_best: {settings["save_best"]!r} is of one class; a hook can monitor it, no file is named so'
                )
            joined = isinstance(dataset, list | tuple) or 'datasets' in dataset
            if settings.get('loss') and figures:
                figures = [*figures, 'loss_val']
            _check_figure('save_best: ', settings.get('save_best'), figures, joined)
            all_figures.append((figures, joined))
    for key, name in (monitors or {}).items():
        with config_key(key):
            for figures, joined in all_figures:
                _check_figure('', name, figures, joined)


def hook_arguments() -> list[str]:
    """Arguments of the evaluation hooks, those of mmcv's among them, but for the loader."""
    names = ['dynamic_intervals', 'loss']
    for parent in DistEvalHook.__mro__:
        if '__init__' in vars(parent) and parent is not object:
            params = inspect.signature(vars(parent)['__init__']).parameters.values()
            names += [p.name for p in params if p.kind is p.POSITIONAL_OR_KEYWORD]
    return [name for name in dict.fromkeys(names) if name not in ('self', 'dataloader')]


def dataset_classes(cfg: Any) -> Iterator[type]:
    """Classes of the data sets in a config, those inside wrappers; what is not registered is left out."""
    if isinstance(cfg, list | tuple):
        for part in cfg:
            yield from dataset_classes(part)
    elif isinstance(cfg, dict):
        inner = cfg.get('datasets') or cfg.get('dataset')
        kind = cfg.get('type')
        cls = DATASETS.get(kind) if isinstance(kind, str) else kind
        if inner:
            yield from dataset_classes(inner)
        elif inspect.isclass(cls):
            yield cls


def evaluate_arguments(cls: type) -> set[str] | None:
    """Arguments of a class's ``evaluate``, with those of its parents where it hands ``**kwargs`` on; None: any."""
    names: set[str] = set()
    for parent in cls.__mro__:
        if 'evaluate' not in vars(parent):
            continue
        params = list(inspect.signature(vars(parent)['evaluate']).parameters.values())[2:]
        names |= {p.name for p in params if p.kind is not p.VAR_KEYWORD}
        if not any(p.kind is p.VAR_KEYWORD for p in params):
            return names - {'logger'}
    return None


def _owner(cls: type) -> type | None:
    return next((parent for parent in cls.__mro__ if 'evaluate' in vars(parent)), None)


def _checked_names(settings: dict[str, Any], cls: type) -> list[str]:
    """Names of the figures that the settings give; empty where they are not known beforehand."""
    owner = _owner(cls)
    known = KNOWN_METRICS.get(owner) if owner is not None else None
    if known is None:
        return []
    if 'metric' in settings and not settings['metric']:
        raise ConfigKeyError(f'metric: expected one or several of {", ".join(known)}, got {settings["metric"]!r}')
    metrics = _as_list(settings.get('metric')) or [_default_metric(cls)]
    for name in metrics:
        if name not in known:
            raise ConfigKeyError(
                f'{cls.__name__} has no metric {name!r}{did_you_mean(str(name), known)} It has: {", ".join(known)}.'
            )
    nums = settings.get('proposal_nums') or DEFAULT_PROPOSAL_NUMS
    items = _as_list(settings.get('metric_items'))
    if items and issubclass(cls, CocoDataset):
        names = (*PRECISION_ITEMS, *recall_items(nums), *F1_ITEMS)
        for item in items:
            if item not in names:
                raise ConfigKeyError(
                    f'metric_items: there is no {item!r}{did_you_mean(str(item), names)} There are: {", ".join(names)}.'
                )
    return list(figure_names(cls, metrics, items, nums, settings))


def _check_figure(key: str, name: Any, figures: list[str], joined: bool) -> None:
    if name is None or name == 'auto' or not figures:
        return
    quantity, mark, _ = str(name).partition(MARK)
    if 'loss_val' in figures and 'loss' in quantity and quantity.endswith('_val'):
        return  # the model says which losses it has
    wanted = f'{quantity}{mark}{ANY_CLASS}' if mark else name
    # figures of joined data sets begin with the name of their part
    if wanted in figures or (joined and any(str(wanted).endswith(f'_{figure}') for figure in figures)):
        return
    raise ConfigKeyError(
        f'{key}the evaluation gives no {name!r}{did_you_mean(str(name), figures)} It gives: {", ".join(figures)}.'
    )


def figure_names(
    cls: type, metrics: Sequence[str], items: Sequence[str], nums: Sequence[int], settings: dict[str, Any]
) -> Iterator[str]:
    """Names of the numbers that an evaluation gives back; none where they are not known beforehand."""
    if issubclass(cls, CocoPanopticDataset):
        yield from (f'{kind}{part}' for kind in ('PQ', 'SQ', 'RQ') for part in ('', '_th', '_st'))
    if not issubclass(cls, CocoDataset):
        yield from _voc_figures(metrics, nums, settings)
        return
    if 'cityscapes' in metrics:
        yield from ('mAP', 'AP@50')
    yield from _figures_by_class(metrics, items, settings)
    for metric in metrics:
        if metric in ('proposal', 'proposal_fast'):
            yield from (items or recall_items(nums))
        elif issubclass(cls, LVISV05Dataset):
            yield from (f'{metric}_{name}' for name in ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'APr', 'APc', 'APf'))
        elif metric == 'keypoints':
            yield from (f'keypoints_{name}' for name in _KEYPOINT_FIGURES)
        elif metric not in ('PQ', 'pq', 'cityscapes'):
            yield from (
                f'{metric}_{name}' for name in items or PRECISION_ITEMS if metric == 'bbox' or name not in F1_ITEMS
            )


def _figures_by_class(metrics: Sequence[str], items: Sequence[str], settings: dict[str, Any]) -> Iterator[str]:
    if not settings.get('classwise'):
        return
    yield from (f'{metric}_AP{MARK}{ANY_CLASS}' for metric in metrics if metric in ('bbox', 'segm'))
    if wants_f1(items):
        yield from (f'bbox_{item}{MARK}{ANY_CLASS}' for item in (*F1_ITEMS, 'threshold'))


_KEYPOINT_FIGURES = ('mAP', 'mAP_50', 'mAP_75', 'mAP_m', 'mAP_l', 'AR', 'AR_50', 'AR_75', 'AR_m', 'AR_l')


def _voc_figures(metrics: Sequence[str], nums: Sequence[int], settings: dict[str, Any]) -> Iterator[str]:
    thresholds = _as_list(settings.get('iou_thr')) or [0.5]
    if 'recall' not in metrics:
        yield 'mAP'
        yield from (f'AP{round(100 * thr):02d}' for thr in thresholds)
        if settings.get('classwise'):
            yield from (f'AP{round(100 * thr):02d}{MARK}{ANY_CLASS}' for thr in thresholds)
        return
    yield from (f'recall@{num}@{thr}' for num in nums for thr in thresholds)
    if len(thresholds) > 1:
        yield from (f'AR@{num}' for num in nums)


def metrics_of(cfg: Any) -> list[str]:
    """Metrics that a run's evaluation works out: those of its config, else the own one of the validation data."""
    named = _as_list((cfg.get('evaluation') or {}).get('metric'))
    classes = [] if named else [cls for cls in dataset_classes(cfg.data.get('val')) if _owner(cls) is not None]
    return named or [_default_metric(cls) for cls in classes[:1]]


def _default_metric(cls: Any) -> str:
    return inspect.signature(cls.evaluate).parameters['metric'].default


def _as_list(names: Any) -> list[Any]:
    if names is None:
        return []
    return list(names) if isinstance(names, list | tuple) else [names]
