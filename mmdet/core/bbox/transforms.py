"""Changes of box format and frame.

Boxes are (..., 4) xyxy px unless the name says otherwise; RoIs are (n, 5): number of the image in its batch, then xyxy.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mmdet.utils.registry import did_you_mean

FLIP_DIRECTIONS = ('horizontal', 'vertical', 'diagonal')


def clip_boxes(boxes: Tensor, max_shape: Sequence | Tensor, offset: float = 0.0) -> Tensor:
    """Clip boxes to the image.

    Args:
        boxes: (..., 4) xyxy px.
        max_shape: (h, w[, c]) of the image, or for boxes (N, ..., 4) one such shape for each of the N images.
        offset: px between the image's size and its largest coordinate.

    Returns:
        (..., 4) with x in [0, w - offset] and y in [0, h - offset].

    Raises:
        ValueError: there are several shapes, but not one an image.
    """
    if isinstance(max_shape, Tensor) or isinstance(max_shape[0], Sequence | np.ndarray | Tensor):
        shapes = torch.as_tensor(max_shape, dtype=boxes.dtype, device=boxes.device)
        if shapes.ndim == 2 and (boxes.ndim < 3 or len(shapes) != len(boxes)):
            raise ValueError(f'max_shape: {len(shapes)} shapes do not fit boxes of shape {tuple(boxes.shape)}')
        height, width = shapes[..., 0], shapes[..., 1]
        if shapes.ndim == 2:  # (N,) -> (N, 1, ..., 1)
            height, width = (side.reshape(-1, *(1,) * (boxes.ndim - 1)) for side in (height, width))
    else:
        height, width = max_shape[:2]
    x = boxes[..., 0::2].clamp(min=0).clamp(max=width - offset)
    y = boxes[..., 1::2].clamp(min=0).clamp(max=height - offset)
    return torch.stack([x, y], dim=-1).flatten(-2)


def find_inside_bboxes(bboxes: Tensor, img_h: int, img_w: int) -> Tensor:
    """(n,) bool: which of the boxes (n, 4) overlap an image of ``img_h`` by ``img_w`` px."""
    return (bboxes[:, 0] < img_w) & (bboxes[:, 2] > 0) & (bboxes[:, 1] < img_h) & (bboxes[:, 3] > 0)


def bbox_flip(bboxes: Tensor, img_shape: Sequence[int], direction: str | None = 'horizontal') -> Tensor:
    """Mirror boxes.

    Args:
        bboxes: (..., 4k) xyxy px.
        img_shape: (h, w[, c]) of the image.
        direction: ``'horizontal'`` (left becomes right), ``'vertical'`` or ``'diagonal'`` (both).

    Returns:
        Boxes of the same shape.

    Raises:
        ValueError: the last dimension is no multiple of 4, or the direction is unknown.
    """
    if bboxes.size(-1) % 4:
        raise ValueError(f'bbox_flip: expected (..., 4k) boxes, got {tuple(bboxes.shape)}')
    if direction not in FLIP_DIRECTIONS:
        hint = did_you_mean(str(direction), FLIP_DIRECTIONS)
        raise ValueError(f'flip direction must be one of {FLIP_DIRECTIONS}, got {direction!r}{hint}')
    height, width = img_shape[:2]
    flipped = bboxes.clone()
    if direction != 'vertical':
        flipped[..., 0::4] = width - bboxes[..., 2::4]
        flipped[..., 2::4] = width - bboxes[..., 0::4]
    if direction != 'horizontal':
        flipped[..., 1::4] = height - bboxes[..., 3::4]
        flipped[..., 3::4] = height - bboxes[..., 1::4]
    return flipped


def bbox_mapping(
    bboxes: Tensor,
    img_shape: Sequence[int],
    scale_factor: Sequence[float],
    flip: bool,
    flip_direction: str | None = 'horizontal',
) -> Tensor:
    """Boxes of the original image in the frame of the resized and perhaps flipped one.

    Args:
        bboxes: (n, 4) xyxy px.
        img_shape: (h, w[, c]) of the resized image.
        scale_factor: (4,) factors of x1, y1, x2, y2.
        flip: whether the image was flipped.
        flip_direction: see :func:`bbox_flip`.
    """
    resized = bboxes * bboxes.new_tensor(scale_factor)
    return bbox_flip(resized, img_shape, flip_direction) if flip else resized


def bbox_mapping_back(
    bboxes: Tensor,
    img_shape: Sequence[int],
    scale_factor: Sequence[float],
    flip: bool,
    flip_direction: str | None = 'horizontal',
) -> Tensor:
    """The inverse of :func:`bbox_mapping`; also for (n, 4k) boxes."""
    unflipped = bbox_flip(bboxes, img_shape, flip_direction) if flip else bboxes
    return (unflipped.reshape(-1, 4) / unflipped.new_tensor(scale_factor)).reshape(bboxes.shape)


def bbox2roi(bbox_list: Sequence[Tensor]) -> Tensor:
    """Boxes of N images, each (n_i, 4 or more), of which xyxy are kept -> RoIs (sum of n_i, 5)."""
    return torch.cat(
        [torch.cat([boxes.new_full((boxes.size(0), 1), i), boxes[:, :4]], dim=1) for i, boxes in enumerate(bbox_list)]
    )


def roi2bbox(rois: Tensor) -> list[Tensor]:
    """RoIs (n, 5) -> boxes (n_i, 4) of each image that has any, in the order of the images' numbers."""
    return [rois[rois[:, 0] == i, 1:] for i in rois[:, 0].unique(sorted=True)]


def bbox2result(bboxes: Tensor | np.ndarray, labels: Tensor | np.ndarray, num_classes: int) -> list[np.ndarray]:
    """Detections, class by class.

    Args:
        bboxes: (n, 5) xyxy px and score.
        labels: (n,) in [0, num_classes).
        num_classes: number of classes, without the background.

    Returns:
        ``num_classes`` float arrays (n_c, 5), in the order of the detections.
    """
    bboxes, labels = (x.detach().cpu().numpy() if isinstance(x, Tensor) else x for x in (bboxes, labels))
    if len(bboxes) == 0:
        return [np.zeros((0, 5), dtype=np.float32) for _ in range(num_classes)]
    return [bboxes[labels == i, :] for i in range(num_classes)]


def distance2bbox(points: Tensor, distance: Tensor, max_shape: Sequence | Tensor | None = None) -> Tensor:
    """Points and their distances to the sides -> boxes.

    Args:
        points: (..., 2) x, y px.
        distance: (..., 4) px to the left, top, right and bottom side.
        max_shape: clips the boxes; see :func:`clip_boxes`.

    Returns:
        (..., 4) xyxy px.
    """
    boxes = torch.cat([points[..., :2] - distance[..., :2], points[..., :2] + distance[..., 2:]], dim=-1)
    return boxes if max_shape is None else clip_boxes(boxes, max_shape)


def bbox2distance(points: Tensor, bbox: Tensor, max_dis: float | None = None, eps: float = 0.1) -> Tensor:
    """Points and boxes -> distances to the boxes' sides; the inverse of :func:`distance2bbox`.

    Args:
        points: (..., 2) x, y px.
        bbox: (..., 4) xyxy px.
        max_dis: upper bound of the distances, px; they are then clipped to [0, max_dis - eps].
        eps: keeps distances below ``max_dis``, so that they can be put into bins.

    Returns:
        (..., 4) px to the left, top, right and bottom side.
    """
    distance = torch.cat([points[..., :2] - bbox[..., :2], bbox[..., 2:] - points[..., :2]], dim=-1)
    return distance if max_dis is None else distance.clamp(min=0, max=max_dis - eps)


def bbox_rescale(bboxes: Tensor, scale_factor: float = 1.0) -> Tensor:
    """Scale boxes (n, 4) or RoIs (n, 5) about their centres."""
    prefix, boxes = bboxes[:, :-4], bboxes[:, -4:]
    centers, sizes = (boxes[:, :2] + boxes[:, 2:]) * 0.5, (boxes[:, 2:] - boxes[:, :2]) * scale_factor
    return torch.cat([prefix, centers - 0.5 * sizes, centers + 0.5 * sizes], dim=-1)


def bbox_cxcywh_to_xyxy(bbox: Tensor) -> Tensor:
    """(..., 4) centre x, centre y, w, h -> (..., 4) xyxy."""
    centers, sizes = bbox[..., :2], bbox[..., 2:]
    return torch.cat([centers - 0.5 * sizes, centers + 0.5 * sizes], dim=-1)


def bbox_xyxy_to_cxcywh(bbox: Tensor) -> Tensor:
    """(..., 4) xyxy -> (..., 4) centre x, centre y, w, h."""
    low, high = bbox[..., :2], bbox[..., 2:]
    return torch.cat([(low + high) / 2, high - low], dim=-1)
