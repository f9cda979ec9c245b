"""Optimizer hooks for mixed precision: ``fp16=dict(loss_scale=...)`` and ``fp16=dict(dtype='bfloat16')``."""

from typing import Any

import torch
from mmcv.runner import HOOKS, BaseRunner, OptimizerHook
from torch import Tensor

from mmdet.core.hook.accumulation_hook import GradientCumulativeOptimizerHook
from mmdet.utils.checkpoints.checkpoint import unwrap_model
from mmdet.utils.running.amp import amp_dtype, enable_autocast
from mmdet.utils.running.log_buffer import DeviceLogBuffer
from mmdet.utils.running.parallel import module_device


def build_grad_scaler(loss_scale: float | str | dict, enabled: bool) -> 'tuple[Any, float | None]':
    """torch's gradient scaler, and the scale it is held at (None where it adapts).

    Args:
        loss_scale: a number holds the scale there; ``'dynamic'`` adapts it; a dict goes to ``GradScaler``.
        enabled: False gives a scaler that does nothing.

    Raises:
        ValueError: another value.
    """
    static = isinstance(loss_scale, (int, float)) and not isinstance(loss_scale, bool)
    if not (static or loss_scale == 'dynamic' or isinstance(loss_scale, dict)):
        raise ValueError(f"loss_scale: expected a number, 'dynamic' or a dict for GradScaler, got {loss_scale!r}")
    kwargs = dict(loss_scale) if isinstance(loss_scale, dict) else {}
    if static:
        kwargs['init_scale'] = float(loss_scale)
    # torch 2.3 moved it to torch.amp
    scaler = torch.amp.GradScaler if hasattr(torch.amp, 'GradScaler') else torch.cuda.amp.GradScaler
    return scaler(enabled=enabled, **kwargs), float(loss_scale) if static else None


class _AmpSteps:
    """What both hooks have in common: autocast, scaled backward pass, unscaled clipping and step."""

    loss_scaler: Any = None

    def _set_amp(self, loss_scale: float | str | dict, dtype: str) -> None:
        build_grad_scaler(loss_scale, enabled=False)  # a wrong value is reported when the hook is built
        self.loss_scale, self.dtype = loss_scale, dtype

    def before_run(self, runner: BaseRunner) -> None:
        """Switch the model to autocast; take up the loss scale of a resumed run."""
        model = unwrap_model(runner.model)
        device = module_device(model)
        dtype = amp_dtype(self.dtype, device)
        enable_autocast(model, dtype)
        # bfloat16 has float32's range: nothing to scale
        scales = dtype is torch.float16 and device.type == 'cuda'
        self.loss_scaler, self._held_scale = build_grad_scaler(self.loss_scale, scales)
        saved = (runner.meta or {}).get('fp16', {}).get('loss_scaler')
        if saved and scales:
            self.loss_scaler.load_state_dict(saved)

    def _step(self, runner: BaseRunner) -> None:
        # before the clipping, whose max_norm is of the gradients and not of their multiples
        self.loss_scaler.unscale_(runner.optimizer)
        if self.grad_clip is not None:
            grad_norm = self.clip_grads(runner.model.parameters())
            if grad_norm is not None:
                # mmcv's own buffer takes numbers only, for which the device must be waited for
                takes_tensors = isinstance(runner.log_buffer, DeviceLogBuffer)
                norm = grad_norm.detach() if takes_tensors else float(grad_norm)
                runner.log_buffer.update({'grad_norm': norm}, runner.outputs['num_samples'])
        # leaves the step out where a gradient is not finite; update then lowers the scale
        self.loss_scaler.step(runner.optimizer)
        if self.loss_scaler.is_enabled():
            self.loss_scaler.update(self._held_scale)

    def before_save_checkpoint(self, runner: BaseRunner) -> None:
        """Put the loss scale into what is saved; it is read here alone, for reading makes the host wait."""
        if self.loss_scaler is not None and self.loss_scaler.is_enabled() and runner.meta is not None:
            runner.meta.setdefault('fp16', {})['loss_scaler'] = self.loss_scaler.state_dict()

    def after_train_epoch(self, runner: BaseRunner) -> None:
        """The same for a runner that writes checkpoints in a way of its own."""
        self.before_save_checkpoint(runner)

    def _backward(self, loss: Tensor) -> None:
        self.loss_scaler.scale(loss).backward()


# mmcv's classes of these names know CUDA half only
@HOOKS.register_module(name=['AmpOptimizerHook', 'Fp16OptimizerHook'], force=True)
class AmpOptimizerHook(_AmpSteps, OptimizerHook):
    """One step in mixed precision: forward pass under autocast, losses and parameters in float32.

    Args:
        grad_clip: arguments of ``clip_grad_norm_``; applied to the unscaled gradients.
        loss_scale: of float16 on a GPU: a number, ``'dynamic'``, or arguments of ``GradScaler``.
        dtype: ``'float16'`` (on a CPU bfloat16 takes its place), ``'bfloat16'``, which needs no loss scale, or
            ``'auto'``: what the device is fast with, on old CPUs float32.
        coalesce, bucket_size_mb, distributed: of mmdetection 2.x configs; DDP averages gradients by itself.
    """

    def __init__(
        self,
        grad_clip: dict | None = None,
        coalesce: bool = True,
        bucket_size_mb: int = -1,
        loss_scale: float | str | dict = 512.0,
        distributed: bool = True,
        dtype: str = 'float16',
    ) -> None:
        super().__init__(grad_clip=grad_clip)
        self._set_amp(loss_scale, dtype)

    def after_train_iter(self, runner: BaseRunner) -> None:
        """Backward pass and step."""
        runner.optimizer.zero_grad()
        self._backward(runner.outputs['loss'])
        self._step(runner)


@HOOKS.register_module(name=['GradientCumulativeAmpOptimizerHook', 'GradientCumulativeFp16OptimizerHook'], force=True)
class GradientCumulativeAmpOptimizerHook(_AmpSteps, GradientCumulativeOptimizerHook):
    """The same with one step for several iterations.

    Args:
        cumulative_iters: iterations whose gradients are averaged for one step.
        loss_scale, dtype: see :class:`AmpOptimizerHook`.
        kwargs: ``grad_clip``; settings of mmdetection 2.x that have no meaning any more are accepted.
    """

    def __init__(
        self,
        cumulative_iters: int = 1,
        loss_scale: float | str | dict = 512.0,
        dtype: str = 'float16',
        **kwargs: Any,
    ) -> None:
        for name in ('coalesce', 'bucket_size_mb', 'distributed'):
            kwargs.pop(name, None)
        super().__init__(cumulative_iters, **kwargs)
        self._set_amp(loss_scale, dtype)

    def after_train_iter(self, runner: BaseRunner) -> None:
        """Backward pass; a step at every ``cumulative_iters``-th iteration and at the last one."""
        if not self.initialized:
            self._init(runner)
        self._backward(runner.outputs['loss'] / self._get_loss_factor(runner))
        if self.every_n_iters(runner, self.cumulative_iters) or self.is_last_iter(runner):
            self._step(runner)
            runner.optimizer.zero_grad()
