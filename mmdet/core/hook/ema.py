"""Running averages of a model's weights, which evaluation and checkpoints use in the place of the weights."""

import math
from collections.abc import Callable
from typing import Any

from mmcv.runner import HOOKS, BaseRunner, EpochBasedRunner, Hook
from torch import Tensor

from mmdet.utils.checkpoints.checkpoint import unwrap_model


class BaseEMAHook(Hook):
    """Keeps ``average = (1 - momentum) * average + momentum * weight`` in buffers of the model.

    During an epoch the parameters hold the weights and the buffers (``ema_<name>``) the averages; at its end both are
    exchanged, so that what is evaluated and saved then are the averages, and back before the next one. Its priority
    must be higher than the checkpoint hook's (a number below 50).

    Args:
        momentum: of the newest weights, in (0, 1).
        interval: iterations between two updates, from 1 on.
        skip_buffers: average parameters only, not buffers.
        resume_from: checkpoint with averages; default: the one that the run was resumed from.
        momentum_fun: iteration -> momentum, in the place of the constant.

    Raises:
        ValueError: ``momentum`` is not in (0, 1), or ``interval`` below 1.
    """

    def __init__(
        self,
        momentum: float = 0.0002,
        interval: int = 1,
        skip_buffers: bool = False,
        resume_from: str | None = None,
        momentum_fun: Callable[[int], float] | None = None,
    ) -> None:
        if not 0 < momentum < 1:
            raise ValueError(f'momentum: expected a number between 0 and 1, got {momentum}')
        if interval < 1:
            raise ValueError(f'interval: expected a whole number from 1 on, got {interval} (no hook: never)')
        self.momentum = momentum
        self.interval = interval
        self.skip_buffers = skip_buffers
        self.checkpoint = resume_from
        self.momentum_fun = momentum_fun

    def before_run(self, runner: BaseRunner) -> None:
        """Add the buffers, and fill them from the checkpoint of a resumed run."""
        model = unwrap_model(runner.model)
        averaged = dict(model.named_parameters()) if self.skip_buffers else model.state_dict()
        self.param_ema_buffer = {name: f'ema_{name.replace(".", "_")}' for name in averaged}
        for name, value in averaged.items():
            # a buffer's name must hold no dots
            model.register_buffer(self.param_ema_buffer[name], value.detach().clone())
        self.model_parameters: dict[str, Tensor] = averaged
        self.model_buffers: dict[str, Tensor] = dict(model.named_buffers())
        checkpoint = self.checkpoint or getattr(runner, 'resumed_from', None)
        if checkpoint is not None:
            # once more: the run was resumed before the buffers were there that the averages are loaded into
            runner.resume(checkpoint)

    def get_momentum(self, runner: BaseRunner) -> float:
        """Momentum of the present iteration."""
        return self.momentum_fun(runner.iter) if self.momentum_fun else self.momentum

    def after_train_iter(self, runner: BaseRunner) -> None:
        """Update the averages."""
        if not self.every_n_iters(runner, self.interval):
            return
        momentum = self.get_momentum(runner)
        for name, value in self.model_parameters.items():
            average = self.model_buffers[self.param_ema_buffer[name]]
            if value.dtype.is_floating_point:
                average.lerp_(value.detach(), momentum)
            else:  # counts, such as num_batches_tracked, have no mean
                average.copy_(value)

    def after_train_epoch(self, runner: BaseRunner) -> None:
        """Let the model be its averages, for evaluation and checkpoints."""
        self._swap_ema_parameters()

    def before_train_epoch(self, runner: BaseRunner) -> None:
        """Let the model be its weights again."""
        # before the first epoch both are equal; a checkpoint, written between epochs, has them exchanged
        self._swap_ema_parameters()

    def before_interruption(self, runner: BaseRunner) -> None:
        """Let a checkpoint in the middle of an epoch hold what one at its end does."""
        if isinstance(runner, EpochBasedRunner):
            self._swap_ema_parameters()

    def _swap_ema_parameters(self) -> None:
        for name, value in self.model_parameters.items():
            average = self.model_buffers[self.param_ema_buffer[name]]
            weight = value.detach().clone()
            # values, not tensors: optimizer and wrappers hold the parameters themselves
            value.data.copy_(average.data)
            average.data.copy_(weight)


@HOOKS.register_module()
class ExpMomentumEMAHook(BaseEMAHook):
    """Momentum that falls exponentially from 1 to ``momentum``: ``(1 - m) * exp(-(1 + iter) / total_iter) + m``.

    Args:
        total_iter: iterations in which the distance falls to 1/e.
        kwargs: of :class:`BaseEMAHook`.
    """

    def __init__(self, total_iter: int = 2000, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.momentum_fun = lambda x: (1 - self.momentum) * math.exp(-(1 + x) / total_iter) + self.momentum


@HOOKS.register_module()
class LinearMomentumEMAHook(BaseEMAHook):
    """``min(momentum ** interval, (1 + iter) / (warm_up + iter))``.

    Args:
        warm_up: larger values average longer at the begin.
        kwargs: of :class:`BaseEMAHook`.
    """

    def __init__(self, warm_up: int = 100, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # to the power of the interval: mmcv's EMAHook has it so, whose configs this class serves
        self.momentum_fun = lambda x: min(self.momentum**self.interval, (1 + x) / (warm_up + x))


@HOOKS.register_module(force=True)
class EMAHook(LinearMomentumEMAHook):
    """mmcv's hook of that name, whose runs go on from the weights when they are resumed, not from their averages.

    Args:
        momentum, interval, resume_from: see :class:`BaseEMAHook`; parameters alone are averaged.
        warm_up: see :class:`LinearMomentumEMAHook`.
    """

    def __init__(
        self, momentum: float = 0.0002, interval: int = 1, warm_up: int = 100, resume_from: str | None = None
    ) -> None:
        super().__init__(warm_up, momentum=momentum, interval=interval, resume_from=resume_from, skip_buffers=True)
