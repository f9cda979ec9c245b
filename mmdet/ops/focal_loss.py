"""Focal loss (arXiv:1708.02002) of logits: finite, with a finite gradient, for every logit."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdet.ops.compiled import mmcv_class

_REDUCTIONS = ('none', 'mean', 'sum')


def _reduce(loss: Tensor, reduction: str) -> Tensor:
    if reduction not in _REDUCTIONS:
        raise ValueError(f'reduction must be one of {_REDUCTIONS}, got {reduction!r}')
    if reduction == 'none':
        return loss
    return loss.sum() / max(len(loss), 1) if reduction == 'mean' else loss.sum()


def _full_precision(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()


def binary_focal_terms(logits: Tensor, positive: Tensor, gamma: float, alpha: float) -> Tensor:
    """Focal loss of independent yes/no decisions; ``positive`` is bool in the shape of ``logits``."""
    against = torch.where(positive, -logits, logits)  # logit of the wrong answer
    fraction = torch.where(positive, alpha, 1 - alpha).to(logits.dtype)
    # the power's gradient is infinite at 0, which a far logit underflows to
    one_minus_pt = against.sigmoid().clamp(min=torch.finfo(logits.dtype).tiny)
    return fraction * F.softplus(against) * one_minus_pt.pow(gamma)


def sigmoid_focal_loss(
    input: Tensor,
    target: Tensor,
    gamma: float = 2.0,
    alpha: float = 0.25,
    weight: Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Focal loss of C independent sigmoid outputs.

    Args:
        input: logits (n, C).
        target: (n,) class in [0, C); any other value (C: background) is a negative for all classes.
        gamma: power of the modulating factor.
        alpha: weight of positives; negatives get ``1 - alpha``.
        weight: (C,) weight of each class.
        reduction: ``'none'``, ``'mean'`` (the sum over n, as mmcv has it) or ``'sum'``.

    Returns:
        (n, C) for ``'none'``, else a scalar; float32 at least.

    Raises:
        ValueError: unknown reduction.
    """
    logits = _full_precision(input)
    classes = torch.arange(logits.size(1), device=target.device)
    loss = binary_focal_terms(logits, target[:, None] == classes, gamma, alpha)
    return _reduce(loss if weight is None else loss * weight, reduction)


def softmax_focal_loss(
    input: Tensor,
    target: Tensor,
    gamma: float = 2.0,
    alpha: float = 0.25,
    weight: Tensor | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Focal loss of one softmax over C classes.

    Args:
        input: logits (n, C).
        target: (n,) class in [0, C); a negative one is left out (its loss is 0).
        gamma: power of the modulating factor.
        alpha: factor on every example.
        weight: (C,) weight of each class.
        reduction: ``'none'``, ``'mean'`` (over all n) or ``'sum'``.

    Returns:
        (n,) for ``'none'``, else a scalar; float32 at least.

    Raises:
        ValueError: unknown reduction.
    """
    log_p = F.log_softmax(_full_precision(input), dim=1)
    label = target.clamp(min=0)
    log_pt = log_p.gather(1, label[:, None]).squeeze(1)
    others = log_p.masked_fill(F.one_hot(label, log_p.size(1)).bool(), -torch.inf)
    loss = -alpha * torch.exp(gamma * others.logsumexp(1)) * log_pt  # logsumexp: log(1 - p of the label)
    if weight is not None:
        loss = loss * weight[label]
    return _reduce(loss * (target >= 0), reduction)


class _FocalLoss(nn.Module):
    """What the two layers share: their numbers.

    Args:
        gamma, alpha, weight, reduction: as of the function.
    """

    def __init__(self, gamma: float, alpha: float, weight: Tensor | None = None, reduction: str = 'mean') -> None:
        super().__init__()
        self.gamma = gamma
        self.alpha = alpha
        self.register_buffer('weight', weight)
        self.reduction = reduction

    def extra_repr(self) -> str:
        return f'gamma={self.gamma}, alpha={self.alpha}, reduction={self.reduction!r}'


class SigmoidFocalLoss(_FocalLoss, mmcv_class('SigmoidFocalLoss')):
    """:func:`sigmoid_focal_loss` as a layer."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Logits (n, C) and classes (n,)."""
        return sigmoid_focal_loss(input, target, self.gamma, self.alpha, self.weight, self.reduction)


class SoftmaxFocalLoss(_FocalLoss, mmcv_class('SoftmaxFocalLoss')):
    """:func:`softmax_focal_loss` as a layer."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Logits (n, C) and classes (n,)."""
        return softmax_focal_loss(input, target, self.gamma, self.alpha, self.weight, self.reduction)
