"""Process-wide settings of a run: start method, threads of OpenCV, OMP and MKL."""

import multiprocessing
import os
import platform
from typing import Any

import cv2
from mmcv import Config

from mmdet.utils.logger import get_root_logger

THREAD_VARIABLES = ('OMP_NUM_THREADS', 'MKL_NUM_THREADS')


def setup_multi_processes(cfg: Config) -> None:
    """Apply the config's ``mp_start_method``, ``opencv_num_threads`` and thread limits.

    - ``mp_start_method`` (default ``'fork'``; not touched on Windows, which has ``spawn`` only),
    - ``opencv_num_threads`` (default 0: OpenCV works in the calling thread),
    - ``OMP_NUM_THREADS`` and ``MKL_NUM_THREADS`` become 1 where loader workers are used and nothing else was asked
      for, so that N workers with M threads each do not fight for the cores.
    """
    if platform.system() != 'Windows':
        _set_start_method(cfg.get('mp_start_method', 'fork'))
    cv2.setNumThreads(cfg.get('opencv_num_threads', 0))
    if _max_workers(cfg.get('data', {})) > 1:
        for name in THREAD_VARIABLES:
            os.environ.setdefault(name, '1')


def _set_start_method(method: str) -> None:
    accepted = multiprocessing.get_all_start_methods()
    if method not in accepted:
        raise ValueError(f'mp_start_method: expected one of {accepted}, got {method!r}')
    current = multiprocessing.get_start_method(allow_none=True)
    if current not in (None, method):
        get_root_logger().info(f'start method of worker processes: {method} (was {current})')
    multiprocessing.set_start_method(method, force=True)


def _max_workers(data: dict[str, Any]) -> int:
    """The largest number of loader workers in ``cfg.data``, in its old and its new keys."""
    loaders = [data.get(f'{split}_dataloader') or {} for split in ('train', 'val', 'test')]
    return max(part.get('workers_per_gpu', 0) or 0 for part in [data, *loaders])
