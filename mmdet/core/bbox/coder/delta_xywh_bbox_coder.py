"""Boxes as offsets of centre and logarithmic size (R-CNN, https://arxiv.org/abs/1311.2524, appendix C)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mmdet.core.bbox.builder import BBOX_CODERS
from mmdet.core.bbox.coder.base_bbox_coder import BaseBBoxCoder
from mmdet.core.bbox.transforms import clip_boxes

ZEROS = (0.0, 0.0, 0.0, 0.0)
ONES = (1.0, 1.0, 1.0, 1.0)
WH_RATIO_CLIP = 16 / 1000  # a 16 px box may grow to 1000 px and shrink as much; keeps exp() finite


def center_size(boxes: Tensor, extent: float = 0.0) -> tuple[Tensor, Tensor]:
    """(..., 4) xyxy -> centres and sizes, (..., 2) each; ``extent`` px is added to the sizes."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return (low + high) * 0.5, high - low + extent


def normalise(deltas: Tensor, means: Sequence[float], stds: Sequence[float]) -> Tensor:
    """(..., 4) -> ``(deltas - means) / stds``, column by column: tensors of these numbers would stall a GPU."""
    return torch.stack([(d - mean) / std for d, mean, std in zip(deltas.unbind(dim=-1), means, stds)], dim=-1)


def denormalise(deltas: Tensor, means: Sequence[float], stds: Sequence[float]) -> Tensor:
    """(..., 4) -> ``deltas * stds + means``; the inverse of :func:`normalise`."""
    return torch.stack([d * std + mean for d, mean, std in zip(deltas.unbind(dim=-1), means, stds)], dim=-1)


def bbox2delta(
    proposals: Tensor,
    gt: Tensor,
    means: Sequence[float] = ZEROS,
    stds: Sequence[float] = ONES,
    extent: float = 0.0,
) -> Tensor:
    """Deltas that lead from ``proposals`` to ``gt``; the inverse of :func:`delta2bbox`.

    Args:
        proposals: (..., 4) xyxy px.
        gt: (..., 4) xyxy px.
        means: subtracted from dx, dy, dw, dh.
        stds: divisors after that.
        extent: px that a box is larger than x2 - x1 and y2 - y1.

    Returns:
        (..., 4) float: dx, dy in units of the proposals' size, and the logarithms dw, dh; normalised.
    """
    # half precision cannot tell neighbouring pixels apart beyond 2048
    centers, sizes = center_size(proposals.float(), extent)
    gt_centers, gt_sizes = center_size(gt.float(), extent)
    deltas = torch.cat([(gt_centers - centers) / sizes, torch.log(gt_sizes / sizes)], dim=-1)
    return normalise(deltas, means, stds)


def delta2bbox(
    rois: Tensor,
    deltas: Tensor,
    means: Sequence[float] = ZEROS,
    stds: Sequence[float] = ONES,
    max_shape: Sequence | Tensor | None = None,
    wh_ratio_clip: float = WH_RATIO_CLIP,
    clip_border: bool = True,
    add_ctr_clamp: bool = False,
    ctr_clamp: int = 32,
    extent: float = 0.0,
) -> Tensor:
    """Boxes that ``deltas`` lead to from ``rois``.

    Args:
        rois: (..., n, 4) xyxy px.
        deltas: (..., n, 4k) normalised dx, dy, dw, dh, for k classes one after another.
        means: added to the deltas after the multiplication with ``stds``.
        stds: factors of the deltas.
        max_shape: (h, w[, c]) px of the image, or one such shape for each image of a batch; None: no clipping.
        wh_ratio_clip: sizes change by at most this factor or its inverse.
        clip_border: whether to clip at all.
        add_ctr_clamp: YOLOF's kind (https://arxiv.org/abs/2103.09460): bound the centres' way, and growth only.
        ctr_clamp: that bound, px.
        extent: px that a RoI is larger than x2 - x1 and y2 - y1, and that the image's last coordinate is below its
            size.

    Returns:
        (..., n, 4k) xyxy px.
    """
    shape = deltas.shape
    deltas = denormalise(deltas.reshape(*shape[:-1], shape[-1] // 4, 4), means, stds)
    centers, sizes = center_size(rois.unsqueeze(-2), extent)  # (..., n, 1, 2)
    shifts, log_growth = sizes * deltas[..., :2], deltas[..., 2:]
    max_growth = abs(math.log(wh_ratio_clip))
    if add_ctr_clamp:
        shifts = shifts.clamp(min=-ctr_clamp, max=ctr_clamp)
        log_growth = log_growth.clamp(max=max_growth)
    else:
        log_growth = log_growth.clamp(min=-max_growth, max=max_growth)
    centers, half = centers + shifts, sizes * log_growth.exp() * 0.5
    boxes = torch.cat([centers - half, centers + half], dim=-1)
    if clip_border and max_shape is not None:
        boxes = clip_boxes(boxes, max_shape, offset=extent)
    return boxes.reshape(shape)


onnx_delta2bbox = delta2bbox  # the name of its former batched twin


def check_statistics(means: Sequence[float], stds: Sequence[float]) -> None:
    """Refuse means and deviations that are not four each: the others would be left out without a word.

    Raises:
        ValueError: they are not, or a deviation is 0.
    """
    for name, values in (('target_means', means), ('target_stds', stds)):
        if len(values) != 4:
            raise ValueError(f'{name}: expected four numbers, of dx, dy, dw and dh, got {list(values)}')
    if 0 in stds:
        raise ValueError(f'target_stds: expected numbers other than 0, got {list(stds)}')


def check_same_number(bboxes: Tensor, others: Tensor, name: str) -> None:
    """Check that two sets of boxes correspond row by row.

    Raises:
        ValueError: their leading dimensions differ.
    """
    if bboxes.shape[:-1] != others.shape[:-1]:
        raise ValueError(f'{name}: {tuple(bboxes.shape)} and {tuple(others.shape)} differ in the number of boxes')


@BBOX_CODERS.register_module()
class DeltaXYWHBBoxCoder(BaseBBoxCoder):
    """Boxes xyxy <-> normalised dx, dy, dw, dh.

    Args:
        target_means: means of the targets.
        target_stds: standard deviations of the targets.
        clip_border: whether decoded boxes are clipped to the image, where its shape is given.
        add_ctr_clamp: see :func:`delta2bbox`.
        ctr_clamp: see there.
    """

    def __init__(
        self,
        target_means: Sequence[float] = ZEROS,
        target_stds: Sequence[float] = ONES,
        clip_border: bool = True,
        add_ctr_clamp: bool = False,
        ctr_clamp: int = 32,
    ) -> None:
        super().__init__()
        check_statistics(target_means, target_stds)
        self.means = target_means
        self.stds = target_stds
        self.clip_border = clip_border
        self.add_ctr_clamp = add_ctr_clamp
        self.ctr_clamp = ctr_clamp

    def encode(self, bboxes: Tensor, gt_bboxes: Tensor) -> Tensor:
        """(n, 4) deltas from ``bboxes`` (n, 4) to ``gt_bboxes`` (n, 4); see :func:`bbox2delta`."""
        check_same_number(bboxes, gt_bboxes, 'encode')
        return bbox2delta(bboxes, gt_bboxes, self.means, self.stds)

    def decode(
        self,
        bboxes: Tensor,
        pred_bboxes: Tensor,
        max_shape: Sequence | Tensor | None = None,
        wh_ratio_clip: float = WH_RATIO_CLIP,
    ) -> Tensor:
        """(..., n, 4k) boxes from ``bboxes`` (..., n, 4) and deltas (..., n, 4k); see :func:`delta2bbox`."""
        check_same_number(bboxes, pred_bboxes, 'decode')
        return delta2bbox(
            bboxes,
            pred_bboxes,
            self.means,
            self.stds,
            max_shape,
            wh_ratio_clip,
            self.clip_border,
            self.add_ctr_clamp,
            self.ctr_clamp,
        )
