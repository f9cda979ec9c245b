"""Gradients of several iterations in one step, in runs that may be interrupted between two steps."""

from mmcv.runner import HOOKS, BaseRunner
from mmcv.runner import GradientCumulativeOptimizerHook as BaseCumulativeHook


@HOOKS.register_module(force=True)
class GradientCumulativeOptimizerHook(BaseCumulativeHook):
    """mmcv's hook of that name; a resumed run makes its steps where the uninterrupted one does.

    Gradients that wait for their step are in the checkpoint (see
    :class:`~mmdet.utils.running.runner.ResumableRunner`).

    Args:
        cumulative_iters: iterations whose gradients are averaged for one step.
        kwargs: of mmcv's ``OptimizerHook``.
    """

    def _init(self, runner: BaseRunner) -> None:
        """Count from the first iteration of the whole run; mmcv counts from where it was resumed."""
        super()._init(runner)
        self.remainder_iters = runner.max_iters % self.cumulative_iters
        self.divisible_iters = runner.max_iters - self.remainder_iters
