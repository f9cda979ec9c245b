"""What the tools that look at written results have in common: the test data and the results of it."""

import contextlib
import copy
import inspect
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmcv import Config
from mmcv.runner import get_dist_info

from mmdet.apis.launch import UserError
from mmdet.apis.loaders import innermost
from mmdet.datasets.builder import build_dataset
from mmdet.datasets.custom import CustomDataset
from mmdet.datasets.detection_dataset import DetectionDataset
from mmdet.datasets.mixing.sources import leaves_of
from mmdet.utils.compat_config import compat_loader_args
from mmdet.utils.plain_data import dump_plain, load_plain
from mmdet.utils.running.group_failure import before_group_ends

# settings of the evaluation hook that a data set's `evaluate` does not take
HOOK_KEYS = ('interval', 'tmpdir', 'start', 'gpu_collect', 'save_best', 'rule', 'dynamic_intervals', 'by_epoch', 'loss')


def build_test_dataset(cfg: Config, **changes: Any) -> DetectionDataset:
    """``cfg.data.test`` in test mode.

    Args:
        cfg: in any spelling of mmdetection 2.x; not changed.
        **changes: other values for arguments of the data set, e.g. ``pipeline``.
    """
    return build_split(cfg, 'test', **changes)


def build_split(cfg: Config, split: str, **changes: Any) -> DetectionDataset:
    """``cfg.data.val`` or ``cfg.data.test`` in test mode; arguments as of :func:`build_test_dataset`.

    Raises:
        UserError: the config has no such data.
    """
    data = compat_loader_args(copy.deepcopy(cfg)).data if cfg.get('data') else {}
    if data.get(split) is None:
        raise UserError(f'the config has no data.{split}')
    for part in innermost(data[split]):
        part.update(changes)
    return build_dataset(data[split], dict(test_mode=True))


def load_results(path: str, dataset: DetectionDataset) -> list[Any]:
    """The results that ``tools/test.py --out`` wrote, one for each image of ``dataset``.

    Raises:
        UserError: there is no such file, or it holds results of another form, number, or number of classes.
    """
    if not Path(path).is_file():
        raise UserError(f'there are no results at {path}; write them with tools/test.py CONFIG CHECKPOINT --out {path}')
    results = load_plain(path)
    if not isinstance(results, list):
        raise UserError(f'{path}: expected a list with the result of each image, got {type(results).__name__}')
    if len(results) != len(dataset):
        raise UserError(
            f'{path}: {len(results)} results for the {len(dataset)} images of data.test of the config; those of '
            'tools/test.py --skip-broken need data.test.skip_broken=True'
        )
    _check_classes(path, results, dataset)
    return results


def _check_classes(path: str, results: list[Any], dataset: DetectionDataset) -> None:
    """Raise a UserError where results by class have as many classes as none of the joined data sets."""
    joined: Any = dataset
    named: list[Any] = [leaf for leaf in leaves_of(joined) if getattr(leaf, 'CLASSES', None)]
    expected = {len(leaf.CLASSES): leaf.CLASSES for leaf in named}
    for index, result in enumerate(results if expected else []):
        by_class = result[0] if isinstance(result, tuple) and result else result
        if isinstance(by_class, list) and len(by_class) not in expected:
            names = ' or '.join(f'{number}: {", ".join(classes)}' for number, classes in expected.items())
            raise UserError(f'{path}: result {index} has {len(by_class)} classes, the data set {names}')


def evaluation_settings(cfg: Config, metric: Any, options: dict[str, Any] | None) -> dict[str, Any]:
    """Arguments of a data set's ``evaluate``: those of ``cfg.evaluation``, the metric, and ``options`` on top."""
    settings = {key: value for key, value in (cfg.get('evaluation') or {}).items() if key not in HOOK_KEYS}
    return {**settings, 'metric': metric, **(options or {})}


def check_formatting(dataset: DetectionDataset, options: dict[str, Any]) -> None:
    """Refuse to write files for a test server that would be nowhere, or that the data set cannot write.

    Args:
        dataset: data set, or joined ones.
        options: of its ``format_results``, from ``--eval-options``.

    Raises:
        UserError: the text says what is missing.
    """
    for part in getattr(dataset, 'datasets', [dataset]):
        part = getattr(part, 'dataset', part)
        method = getattr(type(part), 'format_results', None)
        if method is None or method is CustomDataset.format_results:
            raise UserError(f'--format-only: {type(part).__name__} has no files for a test server; use --out')
        prefixes = [name for name in inspect.signature(method).parameters if name.endswith('_prefix')]
        if prefixes and not any(options.get(name) for name in prefixes):
            raise UserError(
                f'--format-only needs to know where to write: --eval-options {prefixes[0]}=PATH (its files begin so)'
            )


def format_all(dataset: DetectionDataset, results: list[Any], options: dict[str, Any]) -> None:
    """Write files for a test server; those of joined data sets have the name of their part, or its number, behind."""
    if not hasattr(dataset, 'datasets'):
        dataset.format_results(results, **options)
        return
    joined: Any = dataset
    starts = [0, *joined.cumulative_sizes[:-1]]
    for name, part, start, end in zip(joined.names, joined.datasets, starts, joined.cumulative_sizes):
        own = {key: f'{value}.{name}' if key.endswith('_prefix') else value for key, value in options.items()}
        part.format_results(results[start:end], **own)


@contextlib.contextmanager
def kept_part(results: list[Any], total: int, folder: str | os.PathLike[str]) -> Iterator[None]:
    """Write the results so far where an error ends the detection, be it one of another process.

    Args:
        results: list that is filled within; of several processes, with those of images rank, rank + processes, ...
        total: number of images.
        folder: gets the file, one of each process.

    Raises:
        Exception: what is raised within, after the file has been named.
    """
    rank, processes = get_dist_info()
    writing = threading.Lock()
    written: list[Path] = []

    def keep() -> None:
        with writing:
            if not results or written:
                return
            written.append(_results_path(folder, 'part_of_results', f'_{rank}' if processes > 1 else ''))
            dump_plain(kept := list(results), written[0])
            which = f'first {len(kept)} of {total} images'
            if processes > 1:
                which = f'images {rank}, {rank + processes}, ... (the {len(kept)} that process {rank} has done)'
            print(f'\nthe results of the {which} are kept: {written[0]}', flush=True)

    with before_group_ends(keep):
        try:
            yield
        except Exception:
            keep()
            raise


def _results_path(folder: str | os.PathLike[str], name: str, ending: str = '') -> Path:
    return Path(folder, f'{name}_{time.strftime("%Y%m%d_%H%M%S")}{ending}.npz')


@contextlib.contextmanager
def kept_results(results: list[Any], folder: str | os.PathLike[str], wanted: str | None) -> Iterator[None]:
    """Results are on the disk while they are evaluated: an error loses the figures only.

    Args:
        results: one for each image.
        folder: where they lie meanwhile, unless they are wanted.
        wanted: file that was asked for; it stays.

    Raises:
        Exception: what is raised within, after the file of the results has been named.
    """
    path = Path(wanted) if wanted else _results_path(folder, 'results')
    print(f'\nwriting results to {path}')
    dump_plain(results, path)
    try:
        yield
    except BaseException:
        print(f'the results are kept: tools/analysis_tools/eval_metric.py CONFIG {path} evaluates them', flush=True)
        raise
    if not wanted:
        path.unlink()
