"""Balanced L1 loss (Libra R-CNN, arXiv:1904.02701)."""

import math

import torch
from torch import Tensor

from mmdet.models.builder import LOSSES
from mmdet.models.losses.utils import ReducedLoss, check_same_shape, weighted_loss


@weighted_loss
def balanced_l1_loss(pred: Tensor, target: Tensor, beta: float = 1.0, alpha: float = 0.5, gamma: float = 1.5) -> Tensor:
    """Elementwise L1 loss with larger gradients for small differences.

    Args:
        pred: any shape.
        target: same shape.
        beta: difference at which the gradient reaches its bound.
        alpha: the smaller, the more the gradient of small differences grows.
        gamma: bound of the gradient.

    Raises:
        ValueError: ``beta`` is not positive, or the shapes differ.
    """
    if beta <= 0:
        raise ValueError(f'balanced_l1_loss: beta must be positive, got {beta}')
    check_same_shape(pred, target, 'balanced_l1_loss')
    diff = (pred - target).abs()
    # The gradient alpha * log(b * x / beta + 1) is gamma at x = beta, which fixes b; near is its integral, and far goes
    # on from there with a constant gradient.
    b = math.exp(gamma / alpha) - 1
    near = alpha / b * (b * diff + 1) * torch.log(b * diff / beta + 1) - alpha * diff
    far = gamma * diff + gamma / b - alpha * beta
    return torch.where(diff < beta, near, far)


@LOSSES.register_module()
class BalancedL1Loss(ReducedLoss):
    """:func:`balanced_l1_loss` of tensors of any one shape; arguments as there."""

    def __init__(
        self,
        alpha: float = 0.5,
        gamma: float = 1.5,
        beta: float = 1.0,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(reduction, loss_weight)
        self.alpha = alpha
        self.gamma = gamma
        self.beta = beta

    def compute(self, pred: Tensor, target: Tensor, **kwargs) -> Tensor:
        return balanced_l1_loss(pred, target, alpha=self.alpha, gamma=self.gamma, beta=self.beta, **kwargs)
