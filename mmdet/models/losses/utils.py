"""What all losses share: weights, reduction, and the shell of the registered classes."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn

REDUCTIONS = ('none', 'mean', 'sum')

# Keeps the quotient finite where nothing was counted; far below what a real count would notice.
_EPS = torch.finfo(torch.float32).eps


def full_precision(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Half-precision tensors (of an autocast region) as float32, others as they are: losses are sums of small parts."""
    return tuple(t.float() if t.dtype in (torch.float16, torch.bfloat16) else t for t in tensors)


def check_reduction(reduction: str, owner: str) -> str:
    """Give ``reduction`` back, or raise ValueError where there is no such; ``owner`` is named in the message."""
    if reduction not in REDUCTIONS:
        raise ValueError(f'{owner}: reduction must be one of {REDUCTIONS}, got {reduction!r}')
    return reduction


def reduce_loss(loss: Tensor, reduction: str) -> Tensor:
    """Reduce elementwise losses by ``'none'``, ``'mean'`` or ``'sum'``.

    The mean of no elements is 0, attached to the graph, so that a batch without targets trains on.

    Raises:
        ValueError: unknown reduction.
    """
    if check_reduction(reduction, 'loss') == 'none':
        return loss
    return loss.mean() if reduction == 'mean' and loss.numel() else loss.sum()


def weight_reduce_loss(
    loss: Tensor, weight: Tensor | None = None, reduction: str = 'mean', avg_factor: float | Tensor | None = None
) -> Tensor:
    """Weight elementwise losses, then reduce them once.

    Args:
        loss: elementwise losses.
        weight: factors that broadcast against ``loss``.
        reduction: ``'none'``, ``'mean'`` or ``'sum'``.
        avg_factor: what ``'mean'`` divides the sum by, in place of the number of elements; a number or a tensor.

    Raises:
        ValueError: ``avg_factor`` together with ``'sum'``, or an unknown reduction.
    """
    if weight is not None:
        loss = loss * weight
    if avg_factor is None:
        return reduce_loss(loss, reduction)
    if reduction == 'sum':
        raise ValueError("avg_factor divides a mean; it cannot be used with reduction='sum'")
    # a divisor of 0 stands for a batch without targets, whose sum is 0 as well
    return reduce_loss(loss, 'sum') / (avg_factor + _EPS) if reduction == 'mean' else reduce_loss(loss, reduction)


def weighted_loss(loss_func: Callable) -> Callable:
    """Make an elementwise ``loss_func(pred, target, **kwargs)`` weighted and reduced.

    The result is called as ``loss_func(pred, target, weight=None, reduction='mean', avg_factor=None, **kwargs)``, its
    arguments being those of :func:`weight_reduce_loss`; half-precision predictions are computed in float32.
    """

    @wraps(loss_func)
    def wrapper(
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        reduction: str = 'mean',
        avg_factor: float | Tensor | None = None,
        **kwargs: Any,
    ) -> Tensor:
        (pred,) = full_precision(pred)
        if isinstance(target, Tensor):  # some losses have a tuple of tensors
            (target,) = full_precision(target)
        return weight_reduce_loss(loss_func(pred, target, **kwargs), weight, reduction, avg_factor)

    return wrapper


def check_same_shape(pred: Tensor, target: Tensor, what: str) -> None:
    """Raise ValueError where the shapes differ: broadcasting would silently compare the wrong pairs."""
    if pred.shape != target.shape:
        raise ValueError(f'{what}: predictions {tuple(pred.shape)} and targets {tuple(target.shape)} differ in shape')


class ReducedLoss(nn.Module):
    """Shell of a registered loss: the default reduction, its override in a call, and the loss's weight.

    A subclass gives ``compute(pred, target, weight=, reduction=, avg_factor=, **kwargs)``.

    Args:
        reduction: ``'none'``, ``'mean'`` or ``'sum'``.
        loss_weight: factor on the result.

    Raises:
        ValueError: unknown reduction.
    """

    def __init__(self, reduction: str = 'mean', loss_weight: float = 1.0) -> None:
        super().__init__()
        self.reduction = check_reduction(reduction, type(self).__name__)
        self.loss_weight = loss_weight

    def compute(self, pred: Tensor, target: Any, **kwargs: Any) -> Tensor:
        """The loss before ``loss_weight``."""
        raise NotImplementedError

    def forward(
        self,
        pred: Tensor,
        target: Any,
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction_override: str | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Weighted loss of predictions; shapes: see the class.

        Args:
            pred: predictions.
            target: what they should be.
            weight: factors on the elements.
            avg_factor: divisor of the mean in place of the number of elements.
            reduction_override: reduction of this call.
            kwargs: given to the loss function.

        Raises:
            ValueError: unknown reduction, or ``avg_factor`` with ``'sum'``.
        """
        reduction = self._pick_reduction(reduction_override)
        loss = self.compute(pred, target, weight=weight, reduction=reduction, avg_factor=avg_factor, **kwargs)
        return self.loss_weight * loss

    def _pick_reduction(self, override: str | None) -> str:
        return self.reduction if override is None else check_reduction(override, type(self).__name__)
