"""Gradient reversal and its schedule (domain adversarial training, https://arxiv.org/abs/1505.07818)."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor


class _GradientReversal(torch.autograd.Function):
    """Identity whose gradient is multiplied by ``-scale``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad * -ctx.scale, None


def reverse_gradient(x: Tensor, scale: float) -> Tensor:
    """``x`` itself; the gradient that flows back through it is multiplied by ``-scale``."""
    return _GradientReversal.apply(x, scale)


class LambdaSchedule(NamedTuple):
    """How strong the reversal is in the course of a training: 0 at first, then rising towards 1 and level at last.

    ``power_factor`` says how steeply: at ``max_epoch`` the value is ``2 / (1 + exp(-power_factor)) - 1``.
    """

    start: float = 0  # epochs; 0 before it
    end: float = 100  # epochs; level from there on
    max_epoch: float = 100  # epochs; where the curve would have come to its end
    power_factor: float = 3.0
    iters_per_epoch: float = 200
    init_epoch: float = 0  # epochs that count as done when the count of iterations is 0

    def epoch(self, iteration: int) -> float:
        """Epoch after so many iterations. One epoch takes ``iters_per_epoch + 1`` of them; users' schedules know it."""
        return self.init_epoch + iteration / (1 + self.iters_per_epoch)

    def at(self, epoch: float) -> float:
        """Strength of the reversal at ``epoch``, in [0, 1)."""
        if epoch < self.start:
            return 0.0
        progress = min((min(epoch, self.end) - self.start) / (self.max_epoch - self.start), 1.0)
        return 2 / (1 + math.exp(-self.power_factor * progress)) - 1
