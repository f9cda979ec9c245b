"""Pure functions on boxes: arrays (n, 4), xyxy in pixels, of any float kind."""

import numpy as np

from mmdet.core.mask.base import FLIP_DIRECTIONS, check_direction


def clip_boxes(boxes: np.ndarray, shape_hw: tuple[int, ...]) -> np.ndarray:
    """Boxes cut to an image of height ``shape_hw[0]`` and width ``shape_hw[1]``."""
    height, width = shape_hw[:2]
    return np.clip(boxes, 0, np.array([width, height, width, height], dtype=boxes.dtype))


def flip_boxes(boxes: np.ndarray, shape_hw: tuple[int, ...], direction: str) -> np.ndarray:
    """Boxes (..., 4) on the mirrored image; several boxes may lie in one row (..., 4 * k).

    Raises:
        ValueError: an unknown direction, or rows whose length is not a multiple of 4.
    """
    check_direction(direction, FLIP_DIRECTIONS)
    if boxes.shape[-1] % 4:
        raise ValueError(f'boxes: expected rows of 4 (or a multiple of 4) numbers, got shape {boxes.shape}')
    height, width = shape_hw[:2]
    flipped = boxes.copy()
    if direction != 'vertical':
        flipped[..., 0::4], flipped[..., 2::4] = width - boxes[..., 2::4], width - boxes[..., 0::4]
    if direction != 'horizontal':
        flipped[..., 1::4], flipped[..., 3::4] = height - boxes[..., 3::4], height - boxes[..., 1::4]
    return flipped


def shift_boxes(boxes: np.ndarray, dx: float, dy: float) -> np.ndarray:
    """Boxes moved by (dx, dy) px."""
    return boxes + np.array([dx, dy, dx, dy], dtype=boxes.dtype)


def sides_above(boxes: np.ndarray, min_size: float) -> np.ndarray:
    """(n,) bool, whether width and height are both above ``min_size`` px."""
    return ((boxes[:, 2:] - boxes[:, :2]) > min_size).all(1)


def pairwise_iou(boxes1: np.ndarray, boxes2: np.ndarray) -> np.ndarray:
    """(n, 4) and (m, 4) -> (n, m) intersection over union; 0 where both boxes have no area."""
    low = np.maximum(boxes1[:, None, :2], boxes2[None, :, :2])
    high = np.minimum(boxes1[:, None, 2:], boxes2[None, :, 2:])
    overlap = np.clip(high - low, 0, None).prod(-1)
    area1, area2 = ((b[:, 2:] - b[:, :2]).prod(-1) for b in (boxes1, boxes2))
    union = area1[:, None] + area2[None, :] - overlap
    return overlap / np.maximum(union, 1e-6)


def box_corners(boxes: np.ndarray) -> np.ndarray:
    """(n, 4) -> the corners (n, 4, 2) x and y, row by row."""
    return boxes[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 4, 2)


def warp_boxes(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The upright boxes around the corners moved by a matrix, (2, 3) or (3, 3) without perspective."""
    corners = box_corners(boxes) @ matrix[:2, :2].T + matrix[:2, 2]
    return np.concatenate([corners.min(1), corners.max(1)], axis=1).astype(boxes.dtype)


def inside_image(boxes: np.ndarray, shape_hw: tuple[int, ...]) -> np.ndarray:
    """(n,) bool, whether any part of the box lies inside the image."""
    height, width = shape_hw[:2]
    return (boxes[:, 0] < width) & (boxes[:, 2] > 0) & (boxes[:, 1] < height) & (boxes[:, 3] > 0)


def usable_after_warp(
    before: np.ndarray, after: np.ndarray, min_size: float, min_area_ratio: float, max_aspect_ratio: float
) -> np.ndarray:
    """(n,) bool, whether boxes are still worth something after a change that has cut them.

    Args:
        before: (n, 4) boxes before they were cut.
        after: (n, 4) boxes after that.
        min_size: edges must be longer, px.
        min_area_ratio: the fraction of the area that is left must be larger.
        max_aspect_ratio: of the long and the short edge; must be smaller.
    """
    tiny = 1e-16  # keeps boxes without area out of divisions by zero
    before_wh, after_wh = before[:, 2:] - before[:, :2], after[:, 2:] - after[:, :2]
    aspect = np.maximum(after_wh[:, 0] / (after_wh[:, 1] + tiny), after_wh[:, 1] / (after_wh[:, 0] + tiny))
    area_ratio = after_wh.prod(1) / (before_wh.prod(1) + tiny)
    return (after_wh > min_size).all(1) & (area_ratio > min_area_ratio) & (aspect < max_aspect_ratio)
