"""Telling modules with a schedule how far the training is."""

from typing import Any

from mmcv.runner import HOOKS, BaseRunner, Hook

from mmdet.utils.checkpoints.checkpoint import unwrap_model


@HOOKS.register_module()
class SetIterHook(Hook):
    """Calls ``set_iter(iteration)`` once, when training starts or goes on, on each module that has this method.

    A schedule that counts forward passes is no part of the weights; without this a resumed run would begin it anew.
    Modules with a method ``follow_iter`` get the iteration before every training step instead; they count nothing.
    """

    def __init__(self) -> None:
        self.followers: list[Any] = []

    def before_run(self, runner: BaseRunner) -> None:
        """Hand the number of finished iterations over; a fresh run leaves the modules as their config made them."""
        modules = list(unwrap_model(runner.model).modules())
        self.followers = [module for module in modules if hasattr(module, 'follow_iter')]
        if runner.iter == 0:
            return
        for module in modules:
            if hasattr(module, 'set_iter'):
                module.set_iter(runner.iter)

    def before_train_iter(self, runner: BaseRunner) -> None:
        """Hand the iteration to those that follow it."""
        for module in self.followers:
            module.follow_iter(runner.iter)
