"""Focal loss (arXiv:1708.02002) of logits or probabilities."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdet.models.builder import LOSSES
from mmdet.models.losses.utils import ReducedLoss, full_precision, weight_reduce_loss
from mmdet.ops.focal_loss import binary_focal_terms
from mmdet.ops.probability_loss import probability_cross_entropy


def is_class(target: Tensor, num_classes: int) -> Tensor:
    """Classes (n,) -> bool (n, C); all False in the row of background or of any other value than [0, C)."""
    return target[:, None] == torch.arange(num_classes, device=target.device)


def _focal_factor(one_minus_pt: Tensor, target: Tensor, gamma: float, alpha: float) -> Tensor:
    """``one_minus_pt`` ** gamma, weighted ``alpha`` for positives and ``1 - alpha`` for negatives.

    ``one_minus_pt`` is the probability given to the wrong answer; its lower limit keeps the power's gradient finite.
    """
    modulating = one_minus_pt.clamp(min=torch.finfo(one_minus_pt.dtype).tiny).pow(gamma)
    return (alpha * target + (1 - alpha) * (1 - target)) * modulating


def _indicator_focal_terms(logits: Tensor, target: Tensor, gamma: float, alpha: float) -> Tensor:
    """Elementwise focal loss of logits against targets in [0, 1] of the same shape."""
    # sigmoid(-x), not 1 - sigmoid(x): the latter is 0 from x = 17 on in float32
    one_minus_pt = target * torch.sigmoid(-logits) + (1 - target) * torch.sigmoid(logits)
    # torch 2.1 has no digits left for it in binary_cross_entropy_with_logits
    cross_entropy = target * F.softplus(-logits) + (1 - target) * F.softplus(logits)
    return cross_entropy * _focal_factor(one_minus_pt, target, gamma, alpha)


def fit_weight(weight: Tensor | None, loss: Tensor) -> Tensor | None:
    """Weights of samples (n,), or flat ones (n * C,), brought to a shape that broadcasts against ``loss`` (n, C).

    Raises:
        ValueError: the weights are neither.
    """
    if weight is None or weight.shape == loss.shape:
        return weight
    if weight.size(0) == loss.size(0) and weight.numel() == loss.size(0):
        return weight.view(-1, *[1] * (loss.dim() - 1))
    if weight.numel() == loss.numel():
        return weight.view(loss.shape)
    raise ValueError(f'weights {tuple(weight.shape)} fit neither the samples nor the elements of {tuple(loss.shape)}')


def py_sigmoid_focal_loss(
    pred: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    gamma: float = 2.0,
    alpha: float = 0.25,
    reduction: str = 'mean',
    avg_factor: float | Tensor | None = None,
) -> Tensor:
    """Focal loss of independent decisions on logits.

    Args:
        pred: logits (n, C), or of any shape where ``target`` has the same.
        target: classes (n,), any other value than [0, C) being background; or values in [0, 1] shaped as ``pred``.
        weight: of samples (n,) or of elements.
        gamma: power of the modulating factor.
        alpha: weight of positives; negatives get ``1 - alpha``.
        reduction: ``'none'``, ``'mean'`` or ``'sum'``.
        avg_factor: divisor of the mean in place of the number of elements.

    Raises:
        ValueError: weights or reduction do not fit.
    """
    (pred,) = full_precision(pred)
    if target.dim() == pred.dim():
        loss = _indicator_focal_terms(pred, target.to(pred.dtype), gamma, alpha)
    else:
        loss = binary_focal_terms(pred, is_class(target, pred.size(1)), gamma, alpha)
    return weight_reduce_loss(loss, fit_weight(weight, loss), reduction, avg_factor)


# The compiled kernel of the 2.x line takes classes only; this one function takes them too.
sigmoid_focal_loss = py_sigmoid_focal_loss


def py_focal_loss_with_prob(
    pred: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    gamma: float = 2.0,
    alpha: float = 0.25,
    reduction: str = 'mean',
    avg_factor: float | Tensor | None = None,
) -> Tensor:
    """:func:`py_sigmoid_focal_loss` of probabilities (n, C) in place of logits."""
    (pred,) = full_precision(pred)
    target = (target if target.dim() == pred.dim() else is_class(target, pred.size(1))).to(pred.dtype)
    one_minus_p_t = target * (1 - pred) + (1 - target) * pred
    loss = probability_cross_entropy(pred, target) * _focal_factor(one_minus_p_t, target, gamma, alpha)
    return weight_reduce_loss(loss, fit_weight(weight, loss), reduction, avg_factor)


@LOSSES.register_module()
class FocalLoss(ReducedLoss):
    """Focal loss of C independent sigmoid outputs; shapes as in :func:`py_sigmoid_focal_loss`.

    Args:
        use_sigmoid: must be True; there is no softmax kind.
        gamma: power of the modulating factor.
        alpha: weight of positives; negatives get ``1 - alpha``.
        reduction: ``'none'``, ``'mean'`` or ``'sum'``.
        loss_weight: factor on the result.
        activated: the predictions are probabilities already.

    Raises:
        ValueError: ``use_sigmoid`` is False.
    """

    def __init__(
        self,
        use_sigmoid: bool = True,
        gamma: float = 2.0,
        alpha: float = 0.25,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
        activated: bool = False,
    ) -> None:
        super().__init__(reduction, loss_weight)
        if use_sigmoid is not True:
            raise ValueError('FocalLoss: only use_sigmoid=True is there')
        self.use_sigmoid = use_sigmoid
        self.gamma = gamma
        self.alpha = alpha
        self.activated = activated

    def compute(self, pred: Tensor, target: Tensor, **kwargs) -> Tensor:
        loss = py_focal_loss_with_prob if self.activated else py_sigmoid_focal_loss
        return loss(pred, target, gamma=self.gamma, alpha=self.alpha, **kwargs)
