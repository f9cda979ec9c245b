"""Generalised focal losses (arXiv:2006.04388): of the quality of a class, and of a distribution over distances."""

import torch.nn.functional as F
from torch import Tensor

from mmdet.models.builder import LOSSES
from mmdet.models.losses.focal_loss import is_class
from mmdet.models.losses.utils import ReducedLoss, weighted_loss
from mmdet.ops.probability_loss import probability_cross_entropy


def _quality_map(pred: Tensor, target: tuple[Tensor, Tensor]) -> Tensor:
    """Classes (n,) and qualities (n,) -> (n, C): the quality at the class, 0 elsewhere.

    Raises:
        ValueError: ``target`` is not such a pair.
    """
    if len(target) != 2:
        raise ValueError(f'quality focal loss: the target is a pair (classes, qualities), got {len(target)} items')
    label, score = target
    return is_class(label, pred.size(1)) * score.to(pred.dtype)[:, None]


@weighted_loss
def quality_focal_loss(pred: Tensor, target: tuple[Tensor, Tensor], beta: float = 2.0) -> Tensor:
    """Cross entropy with the quality as soft target, times abs(quality - prediction) ** beta, summed over classes.

    Args:
        pred: logits (n, C).
        target: classes (n,), C being background, and qualities (n,) in [0, 1].
        beta: power of the factor.

    Returns:
        (n,).
    """
    quality = _quality_map(pred, target)
    factor = (quality - pred.sigmoid()).abs().pow(beta)
    return (F.binary_cross_entropy_with_logits(pred, quality, reduction='none') * factor).sum(1)


@weighted_loss
def quality_focal_loss_with_prob(pred: Tensor, target: tuple[Tensor, Tensor], beta: float = 2.0) -> Tensor:
    """:func:`quality_focal_loss` of probabilities (n, C) in place of logits."""
    quality = _quality_map(pred, target)
    return (probability_cross_entropy(pred, quality) * (quality - pred).abs().pow(beta)).sum(1)


@weighted_loss
def distribution_focal_loss(pred: Tensor, label: Tensor) -> Tensor:
    """Cross entropy against the two whole numbers around a real one, each weighted by its nearness.

    Args:
        pred: logits (n, m + 1) over the numbers 0 .. m.
        label: real numbers (n,) in [0, m].

    Returns:
        (n,).
    """
    left = label.long()
    right = (left + 1).clamp(max=pred.size(1) - 1)  # beyond the last, where its weight is 0
    log_p = F.log_softmax(pred, dim=1)
    right_weight = label - left
    at_left, at_right = log_p.gather(1, left[:, None]).squeeze(1), log_p.gather(1, right[:, None]).squeeze(1)
    return -at_left * (1 - right_weight) - at_right * right_weight


@LOSSES.register_module()
class QualityFocalLoss(ReducedLoss):
    """:func:`quality_focal_loss` of logits (n, C) and a pair of classes (n,) and qualities (n,).

    Args:
        use_sigmoid: must be True; there is no softmax kind.
        beta: power of the factor.
        reduction: ``'none'``, ``'mean'`` or ``'sum'``.
        loss_weight: factor on the result.
        activated: the predictions are probabilities already.

    Raises:
        ValueError: ``use_sigmoid`` is False.
    """

    def __init__(
        self,
        use_sigmoid: bool = True,
        beta: float = 2.0,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
        activated: bool = False,
    ) -> None:
        super().__init__(reduction, loss_weight)
        if use_sigmoid is not True:
            raise ValueError('QualityFocalLoss: only use_sigmoid=True is there')
        self.use_sigmoid = use_sigmoid
        self.beta = beta
        self.activated = activated

    def compute(self, pred: Tensor, target: tuple[Tensor, Tensor], **kwargs) -> Tensor:
        loss = quality_focal_loss_with_prob if self.activated else quality_focal_loss
        return loss(pred, target, beta=self.beta, **kwargs)


@LOSSES.register_module()
class DistributionFocalLoss(ReducedLoss):
    """:func:`distribution_focal_loss` of logits (n, m + 1) and real numbers (n,)."""

    def compute(self, pred: Tensor, target: Tensor, **kwargs) -> Tensor:
        return distribution_focal_loss(pred, target, **kwargs)
