"""What the tools that look at written results share: the test data and the results of it."""

import copy
from pathlib import Path
from typing import Any

import mmcv
from mmcv import Config
from torch.utils.data import Dataset

from mmdet.apis.launch import UserError
from mmdet.datasets.builder import build_dataset
from mmdet.utils.compat_config import compat_loader_args

# settings of the evaluation hook that a data set's `evaluate` does not take
HOOK_KEYS = ('interval', 'tmpdir', 'start', 'gpu_collect', 'save_best', 'rule', 'dynamic_intervals', 'by_epoch')


def build_test_dataset(cfg: Config, **changes: Any) -> Dataset:
    """``cfg.data.test`` in test mode.

    Args:
        cfg: in any spelling of mmdetection 2.x; not changed.
        **changes: other values for arguments of the data set, e.g. ``pipeline``.
    """
    test = compat_loader_args(copy.deepcopy(cfg)).data.test
    if changes:
        for part in test if isinstance(test, (list, tuple)) else [test]:
            part.update(changes)
    return build_dataset(test, dict(test_mode=True))


def load_results(path: str, dataset: Dataset) -> list[Any]:
    """The results that ``tools/test.py --out`` wrote, one for each image of ``dataset``.

    Raises:
        UserError: there is no such file, or it holds another number of results.
    """
    if not Path(path).is_file():
        raise UserError(f'there are no results at {path}; write them with tools/test.py CONFIG CHECKPOINT --out {path}')
    results = mmcv.load(path)
    if len(results) != len(dataset):
        raise UserError(f'{path}: {len(results)} results for the {len(dataset)} images of data.test of the config')
    return results


def evaluation_settings(cfg: Config, metric: Any, options: dict[str, Any] | None) -> dict[str, Any]:
    """Arguments of a data set's ``evaluate``: those of ``cfg.evaluation``, the metric, and ``options`` on top."""
    settings = {key: value for key, value in (cfg.get('evaluation') or {}).items() if key not in HOOK_KEYS}
    return {**settings, 'metric': metric, **(options or {})}
