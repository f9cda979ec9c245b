"""The run's TensorBoard file, for hooks that write more than numbers to it."""

from typing import Any

from mmcv.runner import BaseRunner
from mmcv.runner.hooks import TensorboardLoggerHook


def tensorboard_writer(runner: BaseRunner) -> Any:
    """The ``SummaryWriter`` of the run's ``TensorboardLoggerHook``; None where the config has no such hook."""
    for hook in runner.hooks:
        if isinstance(hook, TensorboardLoggerHook):
            return getattr(hook, 'writer', None)
    return None
