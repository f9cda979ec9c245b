"""Telling modules with a schedule how far the training is."""

from mmcv.runner import HOOKS, BaseRunner, Hook

from mmdet.utils.checkpoint import unwrap_model


@HOOKS.register_module()
class SetIterHook(Hook):
    """Calls ``set_iter(iteration)`` once, when training starts or goes on, on each module that has this method.

    A schedule that counts forward passes is no part of the weights; without this a resumed run would begin it anew.
    """

    def before_run(self, runner: BaseRunner) -> None:
        """Hand the number of finished iterations over; a fresh run leaves the modules as their config made them."""
        if runner.iter == 0:
            return
        for module in unwrap_model(runner.model).modules():
            if hasattr(module, 'set_iter'):
                module.set_iter(runner.iter)
