"""COCO's metrics from files of results: one run of pycocotools, its twelve figures, and tables of them."""

import contextlib
import io
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import mmcv
import numpy as np
from mmcv.utils import print_log
from terminaltables import AsciiTable

from mmdet.datasets.api_wrappers.coco_api import COCO, COCOeval, TrackedCOCOeval
from mmdet.datasets.formats.coco_fields import read_json
from mmdet.datasets.metrics.class_figures import F1_ITEMS, box_f1, by_class, mean_of_known, wants_f1
from mmdet.datasets.metrics.coco_fast_eval import evaluate_boxes, gather, unique_ids
from mmdet.datasets.metrics.coco_ground_truth import evaluation_copy
from mmdet.utils.registry import did_you_mean

METRICS = ('bbox', 'segm', 'proposal', 'proposal_fast')
# 'pycocotools' is the reference; 'numpy' gives the same figures for boxes faster, and leaves the rest to the former
BACKENDS = ('pycocotools', 'numpy')
DEFAULT_IOU_THRS = np.linspace(0.5, 0.95, 10)
# the same, as the public signatures of some data sets have them
STEPPED_IOU_THRS = tuple(np.arange(0.5, 0.96, 0.05).tolist())
PRECISION_ITEMS = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
_AREAS = ('all', 'small', 'medium', 'large')


class Figure(NamedTuple):
    """One line of COCO's table."""

    title: str  # 'Average Precision', 'Average Recall'
    iou: str  # '0.50:0.95', '0.50', ...
    area: str  # 'all', 'small', 'medium', 'large'
    max_dets: int
    value: float  # -1 where there is nothing to find


class Summary(NamedTuple):
    """What one run of pycocotools gave."""

    figures: dict[str, Figure]  # 'mAP', 'mAP_50', ... 'AR@100', ... -> figure
    class_aps: np.ndarray  # (K,) AP of each category, NaN where there is nothing to find
    cat_ids: list[int]  # (K,)


def recall_items(proposal_nums: Sequence[int]) -> tuple[str, ...]:
    """Names of the figures of recall: for each number of detections, and for each size with the largest number."""
    return (
        *(f'AR@{num}' for num in proposal_nums),
        *(f'AR_{size}@{max(proposal_nums)}' for size in 'sml'),
    )


def check_metrics(
    metrics: Sequence[str], metric_items: Sequence[str] | str | None, proposal_nums: Sequence[int]
) -> None:
    """Check names before any work is done.

    Raises:
        KeyError: an unknown metric or figure, or F1 without boxes.
    """
    for name in metrics:
        if name not in METRICS:
            raise KeyError(f'metric {name!r} is not supported{did_you_mean(name, METRICS)} Known: {", ".join(METRICS)}')
    known = PRECISION_ITEMS + recall_items(proposal_nums) + F1_ITEMS
    if wants_f1(metric_items) and 'bbox' not in metrics:
        raise KeyError(f"metric_items: {', '.join(F1_ITEMS)} are of boxes; add 'bbox' to the metrics")
    for name in _as_list(metric_items):
        if name not in known:
            raise KeyError(
                f'metric_items: {name!r} is not supported{did_you_mean(name, known)} Known: {", ".join(known)}'
            )


def check_backend(backend: str) -> None:
    """Check the name of a backend.

    Raises:
        ValueError: it is not known.
    """
    if backend not in BACKENDS:
        raise ValueError(
            f'backend {backend!r} is not supported{did_you_mean(backend, BACKENDS)} Known: {", ".join(BACKENDS)}'
        )


def _as_list(names: Sequence[str] | str | None) -> list[str]:
    return [names] if isinstance(names, str) else list(names or ())


def run_coco_eval(
    coco_gt: COCO,
    result_file: str,
    metric: str,
    cat_ids: Sequence[int],
    img_ids: Sequence[int],
    proposal_nums: Sequence[int],
    iou_thrs: Sequence[float],
    logger=None,
    backend: str = 'pycocotools',
) -> Summary:
    """Evaluate one file of results.

    Args:
        coco_gt: annotations; not changed.
        result_file: JSON list of COCO's results.
        metric: ``'bbox'``, ``'segm'`` or ``'proposal'`` (boxes without regard to the category).
        cat_ids: categories that count.
        img_ids: images that count.
        proposal_nums: numbers of detections an image.
        iou_thrs: thresholds.
        logger: where a note about empty results goes.
        backend: see :data:`BACKENDS`.

    Raises:
        ValueError: masks are to be evaluated, and an annotation has none, or an impossible one.
    """
    proposal_nums = sorted(proposal_nums)
    coco_gt = evaluation_copy(coco_gt, img_ids, cat_ids if metric == 'segm' else None)
    if backend == 'numpy' and metric == 'bbox':
        return _summary(_fast_run(coco_gt, mmcv.load(result_file), cat_ids, img_ids, proposal_nums, iou_thrs))
    coco_dt = load_results(coco_gt, result_file, metric, logger)
    file = io.StringIO() if logger == 'silent' else sys.stdout
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        run = TrackedCOCOeval(coco_gt, coco_dt, 'bbox' if metric == 'proposal' else metric)
        run.params.catIds = list(cat_ids)
        run.params.imgIds = list(img_ids)
        run.params.maxDets = list(proposal_nums)
        run.params.iouThrs = np.asarray(iou_thrs, dtype=np.float64)
        if metric == 'proposal':
            run.params.useCats = 0
            _warn_of_lost_proposals(cat_ids, logger)
        run.track(f'evaluating {metric}', file)
        run.evaluate()
        run.accumulate()
    return _summary(run)


def figures_of_file(
    coco_gt: COCO,
    result_files: Mapping[str, str],
    metric: str,
    *,
    cat_ids: Sequence[int],
    img_ids: Sequence[int],
    proposal_nums: Sequence[int],
    iou_thrs: np.ndarray,
    logger,
    classwise: bool,
    metric_items: Sequence[str] | str | None,
    backend: str,
) -> dict[str, float | str]:
    """Figures of a metric that are asked for, by name; tables go to the log.

    Args:
        result_files: kind of result -> file.
        classwise: also AP of each class, ``<metric>_AP/cat``, but for proposals.
        metric_items: see :func:`select_items` and :func:`box_f1`.

    The other arguments are those of :func:`run_coco_eval`, as are the errors.

    Raises:
        KeyError: there is no file for the metric.
    """
    if metric not in result_files:
        raise KeyError(f'metric {metric!r}: the results hold only {", ".join(result_files)}')
    result_file = result_files[metric]
    summary = run_coco_eval(coco_gt, result_file, metric, cat_ids, img_ids, proposal_nums, iou_thrs, logger, backend)
    print_log('\n' + figures_table(summary), logger=logger)
    out = OrderedDict(select_items(summary, metric, metric_items))
    if classwise and metric != 'proposal':
        print_log('\n' + classwise_table(summary, coco_gt), logger=logger)
        names = [coco_gt.cats[cat_id]['name'] for cat_id in summary.cat_ids]
        out.update(by_class(f'{metric}_AP', names, summary.class_aps))
    if metric == 'bbox' and wants_f1(metric_items):
        out.update(box_f1(coco_gt, result_file, cat_ids, img_ids, metric_items, classwise, logger))
    return out


def figures_of_metrics(
    coco_gt: COCO,
    result_files: Mapping[str, str],
    metrics: Sequence[str],
    recalls: Callable[[], dict[str, float]],
    **settings: Any,
) -> dict[str, float | str]:
    """Figures of several metrics.

    Args:
        metrics: their names.
        recalls: gives the figures of ``'proposal_fast'``, which needs no file.
        settings: further arguments of :func:`figures_of_file`, as are the others.
    """
    out: dict[str, float | str] = OrderedDict()
    for metric in metrics:
        print_log(f'Evaluating {metric}...', logger=settings['logger'])
        is_fast = metric == 'proposal_fast'
        out.update(recalls() if is_fast else figures_of_file(coco_gt, result_files, metric, **settings))
    return out


def _summary(run: COCOeval) -> Summary:
    """Figures of a run whose curves are accumulated."""
    precision = run.eval['precision'][:, :, :, 0, -1]  # (thresholds, recalls, categories)
    class_aps = np.asarray([mean_of_known(precision[..., k]) for k in range(precision.shape[2])])
    return Summary(_figures(run), np.where(class_aps < 0, np.nan, class_aps), list(run.params.catIds))


def _fast_run(
    coco_gt: COCO,
    entries: Sequence[dict],
    cat_ids: Sequence[int],
    img_ids: Sequence[int],
    proposal_nums: Sequence[int],
    iou_thrs: Sequence[float],
) -> COCOeval:
    """A run of pycocotools whose curves come from :mod:`coco_fast_eval`."""
    run = COCOeval(iouType='bbox')
    run.params.catIds, run.params.imgIds = unique_ids(cat_ids), unique_ids(img_ids)
    run.params.maxDets = list(proposal_nums)
    run.params.iouThrs = np.asarray(iou_thrs, dtype=np.float64)
    objects = gather(coco_gt.dataset.get('annotations', ()), cat_ids, img_ids)
    run.eval = evaluate_boxes(
        objects,
        gather(entries, cat_ids, img_ids),
        len(run.params.imgIds),
        len(run.params.catIds),
        run.params.iouThrs,
        run.params.recThrs,
        np.asarray(run.params.areaRng, dtype=np.float64),
        run.params.maxDets,
    )
    return run


def load_results(coco_gt: COCO, result_file: str, metric: str, logger=None) -> COCO:
    """Results as pycocotools wants them; an empty list, which it refuses, as well.

    Raises:
        ValueError: the file is no JSON, or no list of detections.
    """
    entries = read_json(result_file)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and 'image_id' in entry for entry in entries):
        raise ValueError(f"{result_file}: expected COCO's list of detections, dicts with image_id, category_id, score")
    if not entries:
        print_log('There are no detections at all: every figure is 0, or -1 where there is nothing to find.', logger)
        empty = COCO()
        empty.dataset = dict(coco_gt.dataset, annotations=[])
        with contextlib.redirect_stdout(io.StringIO()):
            empty.createIndex()
        return empty
    if metric in ('segm', 'keypoints'):
        for entry in entries:
            entry.pop('bbox', None)  # else sizes would be those of the boxes, not of the masks or keypoints
    with contextlib.redirect_stdout(io.StringIO()):
        return coco_gt.loadRes(entries)


def _warn_of_lost_proposals(cat_ids: Sequence[int], logger) -> None:
    if 1 not in cat_ids:
        print_log(
            "Proposals are written with category 1, which the classes of this data set do not have: metric='proposal' "
            "finds none of them. Use metric='proposal_fast'.",
            logger,
        )


def _figures(run: COCOeval) -> dict[str, Figure]:
    """COCO's figures: six of precision, recall for each number of detections, and for each size."""
    nums = run.params.maxDets
    # COCO's first figure is about the 100 best detections, whatever the others are about
    first = 100 if 100 in nums else nums[-1]
    out = OrderedDict()
    out['mAP'] = _figure(run, 'precision', None, 'all', first)
    out['mAP_50'] = _figure(run, 'precision', 0.5, 'all', nums[-1])
    out['mAP_75'] = _figure(run, 'precision', 0.75, 'all', nums[-1])
    for area in _AREAS[1:]:
        out[f'mAP_{area[0]}'] = _figure(run, 'precision', None, area, nums[-1])
    for num in nums:
        out[f'AR@{num}'] = _figure(run, 'recall', None, 'all', num)
    for area in _AREAS[1:]:
        out[f'AR_{area[0]}@{nums[-1]}'] = _figure(run, 'recall', None, area, nums[-1])
    return out


def _figure(run: COCOeval, kind: str, iou: float | None, area: str, max_dets: int) -> Figure:
    """Mean of ``run.eval[kind]``, (thresholds, [recalls,] categories, areas, numbers), over what is not named."""
    values = run.eval[kind][..., _AREAS.index(area), run.params.maxDets.index(max_dets)]
    thrs = run.params.iouThrs
    if iou is not None:
        values = values[np.isclose(thrs, iou)]
        label = f'{iou:.2f}'
    else:
        label = f'{thrs[0]:.2f}' if len(thrs) == 1 else f'{thrs[0]:.2f}:{thrs[-1]:.2f}'
    return Figure(f'Average {kind.capitalize()}', label, area, max_dets, mean_of_known(values))


def figures_table(summary: Summary) -> str:
    """The figures as aligned lines, as COCO prints them."""
    return '\n'.join(
        f'{figure.title:<18} @[ IoU={figure.iou:<9} | area={figure.area:>6} | maxDets={figure.max_dets:>4} ] = '
        f'{figure.value:7.4f}   {name}'
        for name, figure in summary.figures.items()
    )


def classwise_table(summary: Summary, coco_gt: COCO, columns: int = 3) -> str:
    """AP of each category, several pairs of columns wide; ``nan`` where there is nothing to find."""
    names = [coco_gt.cats[cat_id]['name'] for cat_id in summary.cat_ids]
    cells = [cell for name, ap in zip(names, summary.class_aps) for cell in (name, f'{ap:.3f}')]
    width = 2 * min(columns, max(len(names), 1))
    cells += [''] * (-len(cells) % width)
    rows = [cells[i : i + width] for i in range(0, len(cells), width)]
    return AsciiTable([['category', 'AP'] * (width // 2), *rows]).table


def select_items(summary: Summary, metric: str, metric_items: Sequence[str] | str | None) -> dict[str, float | str]:
    """The figures asked for, under the names that logs and ``save_best`` know.

    Args:
        summary: of one metric.
        metric: its name.
        metric_items: names of figures; None: the metric's own. Those of F1 are left out: they come from
            :mod:`class_figures`.
    """
    nums = [int(name[3:]) for name in summary.figures if name.startswith('AR@')]
    own = recall_items(nums) if metric == 'proposal' else PRECISION_ITEMS
    names = own if metric_items is None else [name for name in _as_list(metric_items) if name not in F1_ITEMS]
    if metric == 'proposal':
        return OrderedDict((name, round(summary.figures[name].value, 3)) for name in names)
    out: dict[str, float | str] = OrderedDict(
        (f'{metric}_{name}', round(summary.figures[name].value, 4)) for name in names
    )
    out[f'{metric}_mAP_copypaste'] = ' '.join(f'{summary.figures[name].value:.4f}' for name in PRECISION_ITEMS)
    return out
