"""Focal loss of heat maps (CornerNet, arXiv:1808.01244)."""

from torch import Tensor

from mmdet.models.builder import LOSSES
from mmdet.models.losses.utils import ReducedLoss, weighted_loss

_EPS = 1e-12  # keeps the logarithm finite in double; in float32 it only does so at exactly 0


@weighted_loss
def gaussian_focal_loss(pred: Tensor, gaussian_target: Tensor, alpha: float = 2.0, gamma: float = 4.0) -> Tensor:
    """Elementwise focal loss of probabilities against a map of gaussian bumps.

    Args:
        pred: probabilities of any shape.
        gaussian_target: same shape, 1 at centres and falling towards 0 around them.
        alpha: power of the modulating factor.
        gamma: power that lowers the weight of negatives near a centre.
    """
    positive = gaussian_target.eq(1).to(pred.dtype)
    missed = -(pred + _EPS).log() * (1 - pred).pow(alpha) * positive
    false_alarm = -(1 - pred + _EPS).log() * pred.pow(alpha) * (1 - gaussian_target).pow(gamma)
    return missed + false_alarm


@LOSSES.register_module()
class GaussianFocalLoss(ReducedLoss):
    """:func:`gaussian_focal_loss` of tensors of one shape; arguments as there."""

    def __init__(
        self, alpha: float = 2.0, gamma: float = 4.0, reduction: str = 'mean', loss_weight: float = 1.0
    ) -> None:
        super().__init__(reduction, loss_weight)
        self.alpha = alpha
        self.gamma = gamma

    def compute(self, pred: Tensor, target: Tensor, **kwargs) -> Tensor:
        return gaussian_focal_loss(pred, target, alpha=self.alpha, gamma=self.gamma, **kwargs)
