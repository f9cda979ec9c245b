"""Old spellings of config keys, brought to the present ones."""

import copy
import warnings
from typing import Any

from mmcv import ConfigDict
from mmcv.utils import Config

from mmdet.utils.logger import get_root_logger

# keys of `data` that now stand in the loaders' own dicts; the batch size of `data` is the training loader's only
SHARED_LOADER_KEYS = ('workers_per_gpu', 'persistent_workers', 'pin_memory')
# keys of `data` that are meant for the training loader alone
TRAIN_LOADER_KEYS = ('samples_per_gpu', 'source_ratio', 'repeat_factors')
SPLITS = ('train', 'val', 'test')


def compat_cfg(cfg: Config) -> Config:
    """A copy of ``cfg`` in today's keys: ``runner``, ``data.<split>_dataloader``, ``samples_per_gpu``."""
    cfg = copy.deepcopy(cfg)
    cfg = compat_imgs_per_gpu(cfg)
    cfg = compat_loader_args(cfg)
    return compat_runner_args(cfg)


def compat_runner_args(cfg: Config) -> Config:
    """``total_epochs`` -> ``runner=dict(type='EpochBasedRunner', max_epochs=...)``.

    Raises:
        ValueError: both are there and disagree, or neither is.
    """
    total_epochs = cfg.get('total_epochs')
    if 'runner' not in cfg:
        if total_epochs is None:
            raise ValueError(
                "the config has no 'runner'; write e.g. runner=dict(type='EpochBasedRunner', max_epochs=12)"
            )
        warnings.warn(
            f"total_epochs is an old key; write runner=dict(type='EpochBasedRunner', max_epochs={total_epochs})",
            stacklevel=2,
        )
        cfg.runner = ConfigDict(type='EpochBasedRunner', max_epochs=total_epochs)
    elif total_epochs is not None and cfg.runner.get('max_epochs', total_epochs) != total_epochs:
        raise ValueError(f'total_epochs={total_epochs} disagrees with runner.max_epochs={cfg.runner.max_epochs}')
    return cfg


def compat_imgs_per_gpu(cfg: Config) -> Config:
    """``data.imgs_per_gpu`` -> ``data.samples_per_gpu``; the old key stays, and wins where both are there."""
    data = cfg.get('data', {})
    if 'imgs_per_gpu' in data:
        old = data['imgs_per_gpu']
        get_root_logger().warning(f'data.imgs_per_gpu is an old name; data.samples_per_gpu={old} is used')
        data['samples_per_gpu'] = old
    return cfg


def compat_loader_args(cfg: Config) -> Config:
    """Move loader settings from ``data`` and from the data sets' own dicts into ``data.<split>_dataloader``.

    Raises:
        ValueError: a setting stands in both places.
    """
    data = cfg.get('data')
    if data is None:
        return cfg
    for split in SPLITS:
        data.setdefault(f'{split}_dataloader', ConfigDict())
    for key in SHARED_LOADER_KEYS:
        _move(data, key, [data[f'{split}_dataloader'] for split in SPLITS])
    for key in TRAIN_LOADER_KEYS:
        _move(data, key, [data.train_dataloader])
    for split in ('val', 'test'):
        _move_batch_size(data, split)
    return cfg


def _move(source: dict[str, Any], key: str, loaders: list[dict[str, Any]]) -> None:
    if key not in source:
        return
    value = source.pop(key)
    for loader in loaders:
        if key in loader:
            raise ValueError(f'{key} is set in `data` and in a `*_dataloader` dict of it; keep the second one only')
        loader[key] = value


def _move_batch_size(data: dict[str, Any], split: str) -> None:
    """``data.val.samples_per_gpu`` -> ``data.val_dataloader.samples_per_gpu``; the largest of a list of data sets."""
    datasets = data.get(split)
    if datasets is None:
        return
    datasets = datasets if isinstance(datasets, (list, tuple)) else [datasets]
    sizes = [dataset.pop('samples_per_gpu') for dataset in datasets if 'samples_per_gpu' in dataset]
    if sizes:
        _move(dict(samples_per_gpu=max(sizes)), 'samples_per_gpu', [data[f'{split}_dataloader']])
