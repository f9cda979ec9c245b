"""Stopping when the loss is no number any more."""

import torch
from mmcv.runner import HOOKS, BaseRunner, Hook


@HOOKS.register_module()
class CheckInvalidLossHook(Hook):
    """Stops the run when the loss is infinite or NaN.

    Args:
        interval: iterations between two looks; each look waits for the GPU.
    """

    def __init__(self, interval: int = 50) -> None:
        self.interval = interval

    def after_train_iter(self, runner: BaseRunner) -> None:
        """Look at the loss.

        Raises:
            AssertionError: it is not finite.
        """
        if not self.every_n_iters(runner, self.interval):
            return
        parts = runner.outputs.get('log_vars', {})
        assert torch.isfinite(runner.outputs['loss']), (
            f'the loss is not finite in iteration {runner.iter + 1}: {dict(parts)}; lower the learning rate, '
            'lengthen the warm-up, or set optimizer_config=dict(grad_clip=dict(max_norm=35, norm_type=2))'
        )
