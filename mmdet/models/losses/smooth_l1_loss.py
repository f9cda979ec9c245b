"""L1 losses of box deltas."""

import torch.nn.functional as F
from torch import Tensor

from mmdet.models.builder import LOSSES
from mmdet.models.losses.utils import ReducedLoss, check_same_shape, weighted_loss


@weighted_loss
def smooth_l1_loss(pred: Tensor, target: Tensor, beta: float = 1.0) -> Tensor:
    """Elementwise |d| - beta/2, and d**2 / (2 beta) below ``beta`` (arXiv:1504.08083).

    Raises:
        ValueError: ``beta`` is not positive, or the shapes differ.
    """
    if beta <= 0:
        raise ValueError(f'smooth_l1_loss: beta must be positive, got {beta}; use l1_loss for 0')
    check_same_shape(pred, target, 'smooth_l1_loss')
    return F.smooth_l1_loss(pred, target, reduction='none', beta=beta)


@weighted_loss
def l1_loss(pred: Tensor, target: Tensor) -> Tensor:
    """Elementwise absolute difference.

    Raises:
        ValueError: the shapes differ.
    """
    check_same_shape(pred, target, 'l1_loss')
    return (pred - target).abs()


@LOSSES.register_module()
class SmoothL1Loss(ReducedLoss):
    """:func:`smooth_l1_loss` of tensors of any one shape.

    Args:
        beta: where the quadratic part ends.
        reduction: ``'none'``, ``'mean'`` or ``'sum'``.
        loss_weight: factor on the result.
    """

    def __init__(self, beta: float = 1.0, reduction: str = 'mean', loss_weight: float = 1.0) -> None:
        super().__init__(reduction, loss_weight)
        self.beta = beta

    def compute(self, pred: Tensor, target: Tensor, **kwargs) -> Tensor:
        return smooth_l1_loss(pred, target, beta=self.beta, **kwargs)


@LOSSES.register_module()
class L1Loss(ReducedLoss):
    """:func:`l1_loss` of tensors of any one shape."""

    def compute(self, pred: Tensor, target: Tensor, **kwargs) -> Tensor:
        return l1_loss(pred, target, **kwargs)
