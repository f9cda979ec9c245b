"""Squared differences."""

import torch.nn.functional as F
from torch import Tensor

from mmdet.models.builder import LOSSES
from mmdet.models.losses.utils import ReducedLoss, weighted_loss


@weighted_loss
def mse_loss(pred: Tensor, target: Tensor) -> Tensor:
    """Elementwise squared difference."""
    return F.mse_loss(pred, target, reduction='none')


@LOSSES.register_module()
class MSELoss(ReducedLoss):
    """:func:`mse_loss` of tensors of any one shape."""

    def compute(self, pred: Tensor, target: Tensor, **kwargs) -> Tensor:
        return mse_loss(pred, target, **kwargs)
