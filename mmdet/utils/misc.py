"""Checkpoint look-up and the data root of a config."""

import logging
import os
import re
from pathlib import Path
from typing import Any

import torch
from mmcv.utils import Config
from torch import Tensor

from mmdet.utils.logger import get_root_logger

DATA_ROOT_VARIABLE = 'MMDET_DATASETS'


def find_latest_checkpoint(path: str | os.PathLike[str], suffix: str = 'pth') -> str | None:
    """The checkpoint to resume from in a folder.

    ``latest.<suffix>`` where it is there and its target exists, else the file with the largest number at the end of
    its name (``epoch_12.pth``, ``iter_8000.pth``; ``best_*`` are no points to resume from).

    Returns:
        Its path, or None where the folder has none.
    """
    found = checkpoints_in(path, suffix)
    return str(found[0]) if found else None


def checkpoints_in(path: str | os.PathLike[str], suffix: str = 'pth') -> list[Path]:
    """All points to resume from in a folder, the latest first; see :func:`find_latest_checkpoint`."""
    folder = Path(path)
    latest = folder / f'latest.{suffix}'
    numbered = [
        (int(found[1]), file)
        for file in folder.glob(f'*.{suffix}')
        if not file.name.startswith(('best_', '.')) and (found := re.search(r'_(\d+)$', file.stem))
    ]
    ordered = [file for _, file in sorted(numbered, reverse=True)]
    if not latest.exists():
        return ordered
    return [latest, *(file for file in ordered if not file.samefile(latest))]


def update_data_root(cfg: Config, logger: logging.Logger | None = None) -> None:
    """Put ``$MMDET_DATASETS`` in the place of ``cfg.data_root``, in every path of ``cfg.data`` too.

    Without that variable nothing changes.

    Raises:
        TypeError: ``cfg`` is no :class:`mmcv.Config`.
    """
    if not isinstance(cfg, Config):
        raise TypeError(f'update_data_root: expected an mmcv.Config, got {type(cfg).__name__}')
    new_root = os.environ.get(DATA_ROOT_VARIABLE)
    if not new_root or not cfg.get('data_root'):
        return
    old_root = cfg.data_root
    (logger or get_root_logger()).info(f'data_root {old_root} is replaced by ${DATA_ROOT_VARIABLE}: {new_root}')
    cfg.data = _replace_text(cfg.data, old_root, new_root)
    cfg.data_root = new_root


def _replace_text(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return type(value)({key: _replace_text(item, old, new) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return type(value)(_replace_text(item, old, new) for item in value)
    return value.replace(old, new) if isinstance(value, str) else value


def floordiv(dividend: Tensor, divisor: Tensor | float, rounding_mode: str = 'trunc') -> Tensor:
    """Division with a rounding mode: ``'trunc'`` (towards zero) or ``'floor'``."""
    return torch.div(dividend, divisor, rounding_mode=rounding_mode)
