"""Boxes as distances of their sides from a prior's centre (FSAF, https://arxiv.org/abs/1903.00621)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmdet.core.bbox.builder import BBOX_CODERS
from mmdet.core.bbox.coder.base_bbox_coder import BaseBBoxCoder
from mmdet.core.bbox.coder.delta_xywh_bbox_coder import center_size, check_same_number
from mmdet.core.bbox.transforms import clip_boxes


def bboxes2tblr(
    priors: Tensor, gts: Tensor, normalizer: float | Sequence[float] = 4.0, normalize_by_wh: bool = True
) -> Tensor:
    """Distances from the priors' centres to the sides of ``gts``; the inverse of :func:`tblr2bboxes`.

    Args:
        priors: (n, 4) xyxy px.
        gts: (n, 4) xyxy px.
        normalizer: divisor of the distances, or one each for top, bottom, left and right.
        normalize_by_wh: whether distances are in units of the prior's height and width, or in px.

    Returns:
        (n, 4) top, bottom, left, right; negative where a side does not lie on its side of the centre.
    """
    centers, sizes = center_size(priors)
    low, high = centers - gts[..., :2], gts[..., 2:] - centers
    if normalize_by_wh:
        low, high = low / sizes, high / sizes
    tblr = torch.stack([low[..., 1], high[..., 1], low[..., 0], high[..., 0]], dim=-1)
    # the sides of a prior lie half its size from its centre: 0.5 / normalizer stands for no change, not 0 as with
    # deltas
    return tblr / tblr.new_tensor(normalizer)


def tblr2bboxes(
    priors: Tensor,
    tblr: Tensor,
    normalizer: float | Sequence[float] = 4.0,
    normalize_by_wh: bool = True,
    max_shape: Sequence | Tensor | None = None,
    clip_border: bool = True,
) -> Tensor:
    """Boxes whose sides lie ``tblr`` from the priors' centres.

    Args:
        priors: (..., n, 4) xyxy px.
        tblr: (..., n, 4) top, bottom, left, right; see :func:`bboxes2tblr`.
        normalizer: factor of the distances, or one for each side.
        normalize_by_wh: see :func:`bboxes2tblr`.
        max_shape: (h, w[, c]) px of the image, or one such shape for each image of a batch; None: no clipping.
        clip_border: whether to clip at all.

    Returns:
        (..., n, 4) xyxy px.
    """
    top, bottom, left, right = (tblr * tblr.new_tensor(normalizer)).unbind(dim=-1)
    low, high = torch.stack([left, top], dim=-1), torch.stack([right, bottom], dim=-1)
    centers, sizes = center_size(priors)
    if normalize_by_wh:
        low, high = low * sizes, high * sizes
    boxes = torch.cat([centers - low, centers + high], dim=-1)
    return clip_boxes(boxes, max_shape) if clip_border and max_shape is not None else boxes


@BBOX_CODERS.register_module()
class TBLRBBoxCoder(BaseBBoxCoder):
    """Boxes xyxy <-> top, bottom, left, right distances in units of the prior's size.

    Args:
        normalizer: divisor of the distances, or one for each side.
        clip_border: whether decoded boxes are clipped to the image, where its shape is given.
    """

    def __init__(self, normalizer: float | Sequence[float] = 4.0, clip_border: bool = True) -> None:
        super().__init__()
        self.normalizer = normalizer
        self.clip_border = clip_border

    def encode(self, bboxes: Tensor, gt_bboxes: Tensor) -> Tensor:
        """(n, 4) distances from ``bboxes`` (n, 4) to ``gt_bboxes`` (n, 4)."""
        check_same_number(bboxes, gt_bboxes, 'encode')
        return bboxes2tblr(bboxes, gt_bboxes, self.normalizer)

    def decode(self, bboxes: Tensor, pred_bboxes: Tensor, max_shape: Sequence | Tensor | None = None) -> Tensor:
        """(..., n, 4) boxes from ``bboxes`` (..., n, 4) and distances (..., n, 4)."""
        check_same_number(bboxes, pred_bboxes, 'decode')
        return tblr2bboxes(bboxes, pred_bboxes, self.normalizer, max_shape=max_shape, clip_border=self.clip_border)
