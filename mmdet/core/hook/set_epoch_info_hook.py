"""Telling a model which epoch it is in."""

from mmcv.runner import HOOKS, BaseRunner, Hook

from mmdet.utils.checkpoints.checkpoint import unwrap_model


@HOOKS.register_module()
class SetEpochInfoHook(Hook):
    """Calls the model's ``set_epoch(epoch)`` before each training epoch, counted from 0."""

    def before_train_epoch(self, runner: BaseRunner) -> None:
        """Hand the number over."""
        unwrap_model(runner.model).set_epoch(runner.epoch)
