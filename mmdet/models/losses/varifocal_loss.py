"""Varifocal loss (arXiv:2008.13367)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdet.models.builder import LOSSES
from mmdet.models.losses.utils import ReducedLoss, check_same_shape, weighted_loss


@weighted_loss
def varifocal_loss(
    pred: Tensor, target: Tensor, alpha: float = 0.75, gamma: float = 2.0, iou_weighted: bool = True
) -> Tensor:
    """Elementwise cross entropy with the IoU as soft target; negatives alone have the modulating factor.

    Args:
        pred: logits (n, C).
        target: (n, C), the IoU at the class of a positive, 0 elsewhere.
        alpha: weight of negatives.
        gamma: power of the modulating factor.
        iou_weighted: weight positives by their IoU.

    Raises:
        ValueError: the shapes differ.
    """
    check_same_shape(pred, target, 'varifocal_loss')
    target = target.to(pred.dtype)
    modulating = alpha * (pred.sigmoid() - target).abs().pow(gamma)
    factor = torch.where(target > 0, target if iou_weighted else torch.ones_like(target), modulating)
    return F.binary_cross_entropy_with_logits(pred, target, reduction='none') * factor


@LOSSES.register_module()
class VarifocalLoss(ReducedLoss):
    """:func:`varifocal_loss` of logits (n, C) and targets (n, C); arguments as there.

    Raises:
        ValueError: ``use_sigmoid`` is False (there is no softmax kind), or ``alpha`` is negative.
    """

    def __init__(
        self,
        use_sigmoid: bool = True,
        alpha: float = 0.75,
        gamma: float = 2.0,
        iou_weighted: bool = True,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(reduction, loss_weight)
        if use_sigmoid is not True:
            raise ValueError('VarifocalLoss: only use_sigmoid=True is there')
        if alpha < 0:
            raise ValueError(f'VarifocalLoss: alpha must not be negative, got {alpha}')
        self.use_sigmoid = use_sigmoid
        self.alpha = alpha
        self.gamma = gamma
        self.iou_weighted = iou_weighted

    def compute(self, pred: Tensor, target: Tensor, **kwargs) -> Tensor:
        return varifocal_loss(
            pred, target, alpha=self.alpha, gamma=self.gamma, iou_weighted=self.iou_weighted, **kwargs
        )
