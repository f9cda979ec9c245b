"""Losses from the overlap of predicted and target boxes, both (n, 4) xyxy, pair by pair."""

import math
import warnings
from typing import NamedTuple

import torch
from torch import Tensor

from mmdet.models.builder import LOSSES
from mmdet.models.losses.utils import ReducedLoss, check_same_shape, weighted_loss

_IOU_EPS = 1e-6  # least union in square pixels, as in the overlap calculators
_IOU_MODES = ('log', 'linear', 'square')


class _Pairs(NamedTuple):
    """Areas and hulls of n pairs of boxes."""

    inter: Tensor  # (n,) area of the intersection
    union: Tensor  # (n,) area of the union
    hull_wh: Tensor  # (n, 2) width and height of the smallest box around both


def _pair_up(pred: Tensor, target: Tensor) -> _Pairs:
    check_same_shape(pred, target, 'IoU loss')
    inter = (torch.min(pred[:, 2:], target[:, 2:]) - torch.max(pred[:, :2], target[:, :2])).clamp(min=0).prod(1)
    hull_wh = (torch.max(pred[:, 2:], target[:, 2:]) - torch.min(pred[:, :2], target[:, :2])).clamp(min=0)
    areas = (pred[:, 2:] - pred[:, :2]).prod(1) + (target[:, 2:] - target[:, :2]).prod(1)
    return _Pairs(inter, areas - inter, hull_wh)


def aligned_iou(pred: Tensor, target: Tensor, eps: float = _IOU_EPS) -> Tensor:
    """IoU (n,) of n pairs of boxes; ``eps``: least union, in square pixels."""
    pairs = _pair_up(pred, target)
    return pairs.inter / pairs.union.clamp(min=eps)


def aligned_giou(pred: Tensor, target: Tensor, eps: float = _IOU_EPS) -> Tensor:
    """Generalised IoU (n,) in [-1, 1]: IoU less the empty fraction of the hull (arXiv:1902.09630)."""
    pairs = _pair_up(pred, target)
    union, hull = pairs.union.clamp(min=eps), pairs.hull_wh.prod(1).clamp(min=eps)
    return pairs.inter / union - (hull - union) / hull


def _iou_and_distance(pred: Tensor, target: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """IoU (n,) and squared distance of the centres over the squared diagonal of the hull (n,)."""
    pairs = _pair_up(pred, target)
    between = (pred[:, :2] + pred[:, 2:] - target[:, :2] - target[:, 2:]) / 2
    distance = between.square().sum(1) / (pairs.hull_wh.square().sum(1) + eps)
    return pairs.inter / (pairs.union + eps), distance


def aligned_diou(pred: Tensor, target: Tensor, eps: float = _IOU_EPS) -> Tensor:
    """Distance IoU (n,): IoU less the distance of the centres (arXiv:1911.08287)."""
    iou, distance = _iou_and_distance(pred, target, eps)
    return iou - distance


def aligned_ciou(pred: Tensor, target: Tensor, eps: float = _IOU_EPS) -> Tensor:
    """Complete IoU (n,): distance IoU less a term for the ratio of the sides (arXiv:2005.03572)."""
    iou, distance = _iou_and_distance(pred, target, eps)
    angle_pred, angle_target = _side_angle(pred, eps), _side_angle(target, eps)
    shape = 4 / math.pi**2 * (angle_target - angle_pred).square()
    with torch.no_grad():  # the trade-off is a constant of the step
        # equal boxes: 0 / 0 without the lower limit
        # boxes that hardly overlap learn their place first, and their shape afterwards
        trade_off = (iou > 0.5).to(iou) * shape / (1 - iou + shape).clamp(min=eps)
    return iou - distance - trade_off * shape


def _side_angle(boxes: Tensor, eps: float) -> Tensor:
    width, height = (boxes[:, 2:] - boxes[:, :2]).unbind(1)
    return torch.atan(width / (height + eps))


@weighted_loss
def iou_loss(pred: Tensor, target: Tensor, linear: bool = False, mode: str = 'log', eps: float = _IOU_EPS) -> Tensor:
    """-log(IoU), 1 - IoU or 1 - IoU**2 of n pairs of boxes (arXiv:1608.01471).

    Args:
        pred: (n, 4) xyxy.
        target: (n, 4) xyxy.
        linear: old way to ask for ``mode='linear'``.
        mode: ``'log'``, ``'linear'`` or ``'square'``.
        eps: least IoU.

    Raises:
        ValueError: unknown mode, or the shapes differ.
    """
    mode = _iou_mode(linear, mode)
    # the logarithm of no overlap is infinite; boxes that do not meet have a finite loss, and no gradient
    iou = aligned_iou(pred, target).clamp(min=eps)
    if mode == 'log':
        return -iou.log()
    return 1 - iou if mode == 'linear' else 1 - iou.square()


def _iou_mode(linear: bool, mode: str) -> str:
    if mode not in _IOU_MODES:
        raise ValueError(f'IoU loss: mode must be one of {_IOU_MODES}, got {mode!r}')
    if linear:
        warnings.warn("IoU loss: linear=True is deprecated; use mode='linear'", DeprecationWarning, stacklevel=3)
        return 'linear'
    return mode


@weighted_loss
def giou_loss(pred: Tensor, target: Tensor, eps: float = 1e-7) -> Tensor:
    """1 - GIoU of n pairs of boxes; ``eps``: least area."""
    return 1 - aligned_giou(pred, target, eps)


@weighted_loss
def diou_loss(pred: Tensor, target: Tensor, eps: float = 1e-7) -> Tensor:
    """1 - DIoU of n pairs of boxes; ``eps``: added to areas."""
    return 1 - aligned_diou(pred, target, eps)


@weighted_loss
def ciou_loss(pred: Tensor, target: Tensor, eps: float = 1e-7) -> Tensor:
    """1 - CIoU of n pairs of boxes, CIoU limited to [-1, 1]; ``eps``: added to areas and heights."""
    return 1 - aligned_ciou(pred, target, eps).clamp(min=-1, max=1)


@weighted_loss
def bounded_iou_loss(pred: Tensor, target: Tensor, beta: float = 0.2, eps: float = 1e-3) -> Tensor:
    """Upper bounds of the IoU loss that one coordinate alone can cause (arXiv:1711.00164).

    Args:
        pred: (n, 4) xyxy.
        target: (n, 4) xyxy, without gradient.
        beta: where the quadratic part of the smooth L1 shape ends.
        eps: added to sides, in pixels.

    Returns:
        (n, 4): centre x, centre y, width, height.
    """
    check_same_shape(pred, target, 'bounded_iou_loss')
    target = target.detach()
    side, side_t = pred[:, 2:] - pred[:, :2], target[:, 2:] - target[:, :2]
    off = 2 * ((pred[:, :2] + pred[:, 2:]) / 2 - (target[:, :2] + target[:, 2:]) / 2).abs()  # of the centres, twice
    # the greatest IoU that is left when this coordinate is wrong and the others are as good as they can be: of two
    # boxes of one size w apart by d it is (w - d) / (w + d)
    of_centre = 1 - ((side_t - off) / (side_t + off + eps)).clamp(min=0)
    of_side = 1 - torch.min(side_t / (side + eps), side / (side_t + eps))
    loss = torch.cat([of_centre, of_side], dim=1)
    return torch.where(loss < beta, 0.5 * loss * loss / beta, loss - 0.5 * beta)


class _BoxPairLoss(ReducedLoss):
    """A loss (n,) of n pairs of boxes; weights may be (n,) or (n, 4), of which the mean is taken."""

    def __init__(self, eps: float = 1e-6, reduction: str = 'mean', loss_weight: float = 1.0) -> None:
        super().__init__(reduction, loss_weight)
        self.eps = eps

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction_override: str | None = None,
        **kwargs,
    ) -> Tensor:
        """Boxes (n, 4) and (n, 4), weights (n,) or (n, 4); see :class:`ReducedLoss`."""
        if weight is not None and weight.dim() > 1:
            weight = weight.mean(-1)
        return super().forward(pred, target, weight, avg_factor, reduction_override, **kwargs)


@LOSSES.register_module()
class IoULoss(_BoxPairLoss):
    """:func:`iou_loss` of n pairs of boxes.

    Args:
        linear: old way to ask for ``mode='linear'``.
        eps: least IoU.
        reduction: ``'none'``, ``'mean'`` or ``'sum'``.
        loss_weight: factor on the result.
        mode: ``'log'``, ``'linear'`` or ``'square'``.

    Raises:
        ValueError: unknown mode.
    """

    def __init__(
        self,
        linear: bool = False,
        eps: float = 1e-6,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
        mode: str = 'log',
    ) -> None:
        super().__init__(eps, reduction, loss_weight)
        self.mode = _iou_mode(linear, mode)
        self.linear = linear

    def compute(self, pred: Tensor, target: Tensor, **kwargs) -> Tensor:
        return iou_loss(pred, target, mode=self.mode, eps=self.eps, **kwargs)


@LOSSES.register_module()
class GIoULoss(_BoxPairLoss):
    """:func:`giou_loss` of n pairs of boxes."""

    def compute(self, pred: Tensor, target: Tensor, **kwargs) -> Tensor:
        return giou_loss(pred, target, eps=self.eps, **kwargs)


@LOSSES.register_module()
class DIoULoss(_BoxPairLoss):
    """:func:`diou_loss` of n pairs of boxes."""

    def compute(self, pred: Tensor, target: Tensor, **kwargs) -> Tensor:
        return diou_loss(pred, target, eps=self.eps, **kwargs)


@LOSSES.register_module()
class CIoULoss(_BoxPairLoss):
    """:func:`ciou_loss` of n pairs of boxes."""

    def compute(self, pred: Tensor, target: Tensor, **kwargs) -> Tensor:
        return ciou_loss(pred, target, eps=self.eps, **kwargs)


@LOSSES.register_module()
class BoundedIoULoss(ReducedLoss):
    """:func:`bounded_iou_loss` of n pairs of boxes; weights are (n, 4), or (n,) for all four coordinates of a pair.

    Args:
        beta: where the quadratic part ends.
        eps: added to sides, in pixels.
        reduction: ``'none'``, ``'mean'`` or ``'sum'``.
        loss_weight: factor on the result.
    """

    def __init__(self, beta: float = 0.2, eps: float = 1e-3, reduction: str = 'mean', loss_weight: float = 1.0) -> None:
        super().__init__(reduction, loss_weight)
        self.beta = beta
        self.eps = eps

    def compute(self, pred: Tensor, target: Tensor, weight: Tensor | None = None, **kwargs) -> Tensor:
        weight = weight[:, None] if weight is not None and weight.dim() == 1 else weight
        return bounded_iou_loss(pred, target, weight=weight, beta=self.beta, eps=self.eps, **kwargs)
