"""Overlaps of axis-aligned boxes."""

import torch
from torch import Tensor

from mmdet.core.bbox.iou_calculators.builder import IOU_CALCULATORS
from mmdet.utils.registry import did_you_mean

OVERLAP_MODES = ('iou', 'iof', 'giou')


def cast_tensor_type(x: Tensor, scale: float = 1.0, dtype: str | None = None) -> Tensor:
    """``x / scale`` in half precision where ``dtype`` is ``'fp16'``, else ``x`` itself."""
    return (x / scale).half() if dtype == 'fp16' else x


def fp16_clamp(x: Tensor, min: float | None = None, max: float | None = None) -> Tensor:
    """``x.clamp(min, max)``, also for half precision on a CPU, where older torch versions have no kernel."""
    if x.dtype == torch.float16 and not x.is_cuda:
        return x.float().clamp(min, max).half()
    return x.clamp(min, max)


def box_area(boxes: Tensor) -> Tensor:
    """(..., 4) xyxy -> (...,) areas; negative where exactly one side is."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def bbox_overlaps(
    bboxes1: Tensor, bboxes2: Tensor, mode: str = 'iou', is_aligned: bool = False, eps: float = 1e-6
) -> Tensor:
    """Overlaps of boxes.

    Args:
        bboxes1: (..., m, 4) xyxy.
        bboxes2: (..., n, 4) xyxy with the same leading dimensions; m = n where ``is_aligned``.
        mode: ``'iou'``: intersection over union, in [0, 1]; ``'iof'``: intersection over the area of ``bboxes1``, in
            [0, 1]; ``'giou'``: generalised IoU (https://arxiv.org/abs/1902.09630), in (-1, 1].
        is_aligned: compare row i with row i only.
        eps: smallest area that is divided by.

    Returns:
        (..., m, n), or (..., m) where ``is_aligned``.

    Raises:
        ValueError: unknown mode, last dimension not 4, or shapes that do not fit each other.
    """
    # no boxes may come as an empty tensor of one dimension
    one_axis = (boxes.ndim == 1 and not boxes.numel() for boxes in (bboxes1, bboxes2))
    bboxes1, bboxes2 = (boxes.reshape(0, 4) if one else boxes for one, boxes in zip(one_axis, (bboxes1, bboxes2)))
    check_overlap_arguments(bboxes1, bboxes2, mode, is_aligned)
    area1, area2 = box_area(bboxes1), box_area(bboxes2)
    if not is_aligned:
        bboxes1, bboxes2 = bboxes1[..., :, None, :], bboxes2[..., None, :, :]
        area1, area2 = area1[..., :, None], area2[..., None, :]
    # coordinate by coordinate: an axis of two at the end of a matrix of pairs would cost four times as much
    overlap = shared_length(bboxes1, bboxes2, 0) * shared_length(bboxes1, bboxes2, 1)
    if mode == 'iof':
        return overlap / area1.clamp(min=eps)
    union = (area1 + area2).sub_(overlap).clamp_(min=eps)
    if mode == 'iou':
        return overlap / union
    hull_wh = torch.max(bboxes1[..., 2:], bboxes2[..., 2:]) - torch.min(bboxes1[..., :2], bboxes2[..., :2])
    hull = fp16_clamp(hull_wh, min=0).prod(dim=-1).clamp(min=eps)
    return overlap / union - (hull - union) / hull


def greatest_overlaps(boxes: Tensor, objects: Tensor) -> Tensor:
    """(n,) the greatest IoU of each box (n, 4) px with one of the objects (G, 4) px; 0 where there are none."""
    return bbox_overlaps(boxes, objects).amax(1) if len(objects) else boxes.new_zeros(len(boxes))


def shared_length(bboxes1: Tensor, bboxes2: Tensor, axis: int) -> Tensor:
    """Length that two boxes (..., 4) share along x (0) or y (1), at least 0; their shapes broadcast."""
    starts = (boxes[..., axis].contiguous() for boxes in (bboxes1, bboxes2))
    ends = (boxes[..., axis + 2].contiguous() for boxes in (bboxes1, bboxes2))
    length = torch.min(*ends).sub_(torch.max(*starts))  # in place: a matrix of pairs is slow to get from memory
    return fp16_clamp(length, min=0) if length.dtype == torch.float16 else length.clamp_(min=0)


def check_overlap_arguments(bboxes1: Tensor, bboxes2: Tensor, mode: str, is_aligned: bool) -> None:
    """Check the arguments of :func:`bbox_overlaps`.

    Raises:
        ValueError: see there.
    """
    if mode not in OVERLAP_MODES:
        raise ValueError(f'mode must be one of {OVERLAP_MODES}, got {mode!r}{did_you_mean(str(mode), OVERLAP_MODES)}')
    shapes = f'{tuple(bboxes1.shape)} and {tuple(bboxes2.shape)}'
    if bboxes1.size(-1) != 4 or bboxes2.size(-1) != 4:
        raise ValueError(f'bbox_overlaps: expected (..., 4) xyxy boxes, got {shapes}')
    if bboxes1.shape[:-2] != bboxes2.shape[:-2]:
        raise ValueError(f'bbox_overlaps: leading dimensions differ: {shapes}')
    if is_aligned and bboxes1.size(-2) != bboxes2.size(-2):
        raise ValueError(f'bbox_overlaps: is_aligned needs as many boxes on both sides, got {shapes}')


@IOU_CALCULATORS.register_module()
class BboxOverlaps2D:
    """Overlaps of boxes, as a component of assigners.

    Args:
        scale: divisor of the coordinates in half precision, which keeps areas below its largest number.
        dtype: ``'fp16'`` computes in half precision, to save memory; None keeps the boxes' type.
    """

    def __init__(self, scale: float = 1.0, dtype: str | None = None) -> None:
        self.scale = scale
        self.dtype = dtype

    def __call__(self, bboxes1: Tensor, bboxes2: Tensor, mode: str = 'iou', is_aligned: bool = False) -> Tensor:
        """Overlaps of (..., m, 4) and (..., n, 4) boxes; a fifth column (scores) is left out.

        See :func:`bbox_overlaps`. Half precision results on a CPU come back in single precision.
        """
        bboxes1, bboxes2 = (
            cast_tensor_type(boxes[..., :4] if boxes.size(-1) == 5 else boxes, self.scale, self.dtype)
            for boxes in (bboxes1, bboxes2)
        )
        overlaps = bbox_overlaps(bboxes1, bboxes2, mode, is_aligned)
        return overlaps.float() if overlaps.dtype == torch.float16 and not overlaps.is_cuda else overlaps

    def __repr__(self) -> str:
        return f'{type(self).__name__}(scale={self.scale}, dtype={self.dtype})'
