"""Checkpoints that also know the random states of the other processes."""

from mmcv.runner import HOOKS, BaseRunner
from mmcv.runner.hooks import CheckpointHook


@HOOKS.register_module()
class ResumableCheckpointHook(CheckpointHook):
    """mmcv's ``CheckpointHook``; before it saves (rank 0 alone does), all processes hand in their random states."""

    def _save_checkpoint(self, runner: BaseRunner) -> None:
        if hasattr(runner, 'gather_rng'):
            runner.gather_rng()
        super()._save_checkpoint(runner)
