"""Losses whose gradient lengths are evened out (GHM, arXiv:1811.05181).

Samples are counted in bins of the length of their gradient; each weighs the inverse of the count of its bin.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdet.models.builder import LOSSES
from mmdet.models.losses.cross_entropy_loss import _expand_onehot_labels as _expand_with_ignored
from mmdet.models.losses.utils import check_reduction, full_precision, weight_reduce_loss

_NO_INDEX = -100


def _expand_onehot_labels(labels: Tensor, label_weights: Tensor, label_channels: int) -> tuple[Tensor, Tensor]:
    """Classes (n,) and weights (n,) as 0/1 (n, C) and weights (n, C); a negative class counts as background."""
    labels = torch.where(labels < 0, label_channels, labels)
    onehot, weights, _ = _expand_with_ignored(labels, label_weights, label_channels, _NO_INDEX)
    return onehot, weights


def density_weights(
    length: Tensor, valid: Tensor, total: Tensor, edges: Tensor, memory: tuple[Tensor, float] | None
) -> Tensor:
    """Weight of each element: ``total`` over the count of its bin, over the number of bins that have any.

    Args:
        length: gradient lengths, any shape, >= 0.
        valid: bool, same shape: which elements are counted (the others get weight 0).
        total: scalar.
        edges: (B + 1,) ends of the bins; a bin holds its lower end.
        memory: running counts (B,), updated in place, and their momentum; None: counts of this call.
    """
    bins = (torch.bucketize(length, edges, right=True) - 1).clamp(0, len(edges) - 2)
    counts = torch.zeros_like(edges[1:]).index_add_(0, bins.flatten(), valid.flatten().to(edges.dtype))
    filled = counts > 0
    smooth = counts
    if memory is not None:
        running, momentum = memory
        # empty bins keep what they remember: zeros would make the next examples that fall into them weigh too much
        running.copy_(torch.where(filled, momentum * running + (1 - momentum) * counts, running))
        smooth = running
    # each bin that has examples gets an equal part of the whole weight; were they spread evenly, all weights would be 1
    weight_of_bin = torch.where(filled, total / smooth, torch.zeros_like(counts)) / filled.sum().clamp(min=1)
    return weight_of_bin[bins] * valid


class _GradientHarmonised(nn.Module):
    """Bins, running counts (both buffers) and numbers that the two losses share."""

    edges: Tensor
    acc_sum: Tensor

    def __init__(self, bins: int, momentum: float, loss_weight: float, reduction: str, last_edge: float) -> None:
        super().__init__()
        self.bins = bins
        self.momentum = momentum
        self.loss_weight = loss_weight
        self.reduction = check_reduction(reduction, type(self).__name__)
        edges = torch.arange(bins + 1).float() / bins
        edges[-1] = last_edge
        self.register_buffer('edges', edges)
        if momentum > 0:
            self.register_buffer('acc_sum', torch.zeros(bins))

    def _reduce(self, loss: Tensor, length: Tensor, valid: Tensor, total: Tensor, override: str | None) -> Tensor:
        memory = (self.acc_sum, self.momentum) if self.momentum > 0 else None
        # densities are statistics of the gradients, not a part of the loss that could be lowered
        with torch.no_grad():
            weights = density_weights(length, valid, total, self.edges, memory)
        reduction = self.reduction if override is None else override
        return self.loss_weight * weight_reduce_loss(loss, weights, reduction, None if reduction == 'sum' else total)


@LOSSES.register_module()
class GHMC(_GradientHarmonised):
    """Binary cross entropy with evened gradients.

    Args:
        bins: number of bins of the gradient's length in [0, 1].
        momentum: of the running counts; 0: each call counts for itself.
        use_sigmoid: must be True.
        loss_weight: factor on the result.
        reduction: ``'none'``, ``'mean'`` (over the valid elements) or ``'sum'``.

    Raises:
        NotImplementedError: ``use_sigmoid`` is False.
    """

    def __init__(
        self,
        bins: int = 10,
        momentum: float = 0,
        use_sigmoid: bool = True,
        loss_weight: float = 1.0,
        reduction: str = 'mean',
    ) -> None:
        # a length of exactly 1 belongs to the last bin
        super().__init__(bins, momentum, loss_weight, reduction, last_edge=1 + 1e-6)
        if not use_sigmoid:
            raise NotImplementedError('GHMC: only use_sigmoid=True is there')
        self.use_sigmoid = use_sigmoid

    def forward(
        self, pred: Tensor, target: Tensor, label_weight: Tensor, reduction_override: str | None = None, **kwargs
    ) -> Tensor:
        """Loss of independent decisions.

        Args:
            pred: logits (n, C).
            target: classes (n,), or 0/1 (n, C).
            label_weight: same shape as ``target``; only whether it is positive matters.
            reduction_override: reduction of this call.
            kwargs: not used (heads also give ``avg_factor``).
        """
        (pred,) = full_precision(pred)
        if pred.dim() != target.dim():
            target, label_weight = _expand_onehot_labels(target, label_weight, pred.size(-1))
        target = target.to(pred.dtype)
        valid = label_weight > 0
        loss = F.binary_cross_entropy_with_logits(pred, target, reduction='none')
        length = (pred.detach().sigmoid() - target).abs()
        return self._reduce(loss, length, valid, valid.sum().clamp(min=1).to(pred), reduction_override)


@LOSSES.register_module()
class GHMR(_GradientHarmonised):
    """Smoothed L1, sqrt(d**2 + mu**2) - mu, with evened gradients.

    Args:
        mu: width of the smooth part.
        bins: number of bins of the gradient's length.
        momentum: of the running counts; 0: each call counts for itself.
        loss_weight: factor on the result.
        reduction: ``'none'``, ``'mean'`` (over the sum of the weights) or ``'sum'``.
    """

    def __init__(
        self,
        mu: float = 0.02,
        bins: int = 10,
        momentum: float = 0,
        loss_weight: float = 1.0,
        reduction: str = 'mean',
    ) -> None:
        # lengths stay below 1, so that no example reaches the last edge; published checkpoints hold this one, a buffer
        super().__init__(bins, momentum, loss_weight, reduction, last_edge=1e3)
        self.mu = mu

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        label_weight: Tensor,
        avg_factor: float | Tensor | None = None,
        reduction_override: str | None = None,
    ) -> Tensor:
        """Loss of box deltas.

        Args:
            pred: (n, 4).
            target: (n, 4).
            label_weight: (n, 4); its sum is the divisor.
            avg_factor: not used (heads give it).
            reduction_override: reduction of this call.
        """
        (pred,) = full_precision(pred)
        diff = pred - target
        smooth = torch.sqrt(diff.square() + self.mu**2)
        length = (diff / smooth).detach().abs()
        total = label_weight.float().sum().clamp(min=1)
        return self._reduce(smooth - self.mu, length, label_weight > 0, total, reduction_override)
