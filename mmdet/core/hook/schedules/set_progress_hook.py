"""Telling modules with a schedule which fraction of the training is done."""

from mmcv.runner import HOOKS, BaseRunner, Hook

from mmdet.utils.checkpoints.checkpoint import unwrap_model


def training_progress(runner: BaseRunner) -> float:
    """Fraction of the training iterations that are done, in [0, 1]; a resumed run goes on where it was."""
    return min(runner.iter / max(runner.max_iters or 0, 1), 1.0)


@HOOKS.register_module()
class SetProgressHook(Hook):
    """Calls ``set_progress(fraction)`` before each training iteration on each module that has this method.

    ``fraction``, in [0, 1), is the number of finished iterations over that of the whole training. The trainer registers
    this hook itself.
    """

    def before_run(self, runner: BaseRunner) -> None:
        """Find the modules."""
        self._modules = [m for m in unwrap_model(runner.model).modules() if hasattr(m, 'set_progress')]

    def before_train_iter(self, runner: BaseRunner) -> None:
        """Hand the fraction over."""
        for module in self._modules:
            module.set_progress(training_progress(runner))
