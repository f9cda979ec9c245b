"""Rotated boxes: (n, 5), centre x and y, width, height in px, and an angle in radians.

The width lies along the x axis at angle 0. Angles are clockwise to the eye, y pointing down; ``clockwise=False`` turns
them the other way.
"""

import torch
from torch import Tensor

from mmdet.ops.polygon import bounds, bounds_meet, overlaps_of_pairs, pairwise_overlaps

ROWS_AT_ONCE = 1024  # boxes that are compared with all others at once
_MODES = ('iou', 'iof')


def rotated_corners(boxes: Tensor, clockwise: bool = True) -> Tensor:
    """Corners (..., 4, 2) of rotated boxes (..., 5), from the upper left one of an unrotated box on."""
    centre, size, angle = boxes[..., None, :2], boxes[..., None, 2:4], boxes[..., 4, None]
    cos, sin = angle.cos(), angle.sin() if clockwise else -angle.sin()
    offset = size * boxes.new_tensor([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    x, y = offset.unbind(-1)
    return centre + torch.stack([x * cos - y * sin, x * sin + y * cos], -1)


def _check(name: str, *boxes: Tensor) -> None:
    for tensor in boxes:
        if tensor.ndim != 2 or tensor.size(1) != 5:
            raise ValueError(f'{name}: expected boxes (n, 5): x, y, width, height, angle; got {tuple(tensor.shape)}')


def box_iou_rotated(
    bboxes1: Tensor, bboxes2: Tensor, mode: str = 'iou', aligned: bool = False, clockwise: bool = True
) -> Tensor:
    """Overlap of rotated boxes; differentiable.

    Args:
        bboxes1: (N, 5).
        bboxes2: (M, 5).
        mode: ``'iou'``, or ``'iof'``: intersection over the area of the first box.
        aligned: compare the boxes row by row; then N = M.
        clockwise: direction of the angles.

    Returns:
        (N, M), or (N,) if aligned; computed in float64, returned in the dtype of ``bboxes1``.

    Raises:
        ValueError: unknown mode, boxes of other shapes.
    """
    _check('box_iou_rotated', bboxes1, bboxes2)
    if mode not in _MODES:
        raise ValueError(f'box_iou_rotated: mode must be one of {_MODES}, got {mode!r}')
    first, second = (rotated_corners(boxes.double(), clockwise) for boxes in (bboxes1, bboxes2))
    if aligned and len(first) != len(second):
        raise ValueError(f'box_iou_rotated: aligned boxes must be equally many, got {len(first)} and {len(second)}')
    overlaps = overlaps_of_pairs if aligned else pairwise_overlaps
    return overlaps(first, second, mode).to(bboxes1.dtype)


def diff_iou_rotated_2d(box1: Tensor, box2: Tensor) -> Tensor:
    """IoU of rotated boxes (B, N, 5), row by row, with a gradient for both; (B, N)."""
    overlaps = box_iou_rotated(box1.flatten(0, 1), box2.flatten(0, 1), aligned=True)
    return overlaps.unflatten(0, box1.shape[:2])


def nms_rotated(
    dets: Tensor, scores: Tensor, iou_threshold: float, labels: Tensor | None = None, clockwise: bool = True
) -> tuple[Tensor, Tensor]:
    """Drop every rotated box that overlaps a better one by more than ``iou_threshold``.

    Args:
        dets: (n, 5).
        scores: (n,).
        iou_threshold: an IoU greater than this suppresses.
        labels: (n,); boxes of different labels never suppress each other. Default: None, all are of one label.
        clockwise: direction of the angles.

    Returns:
        (k, 6) boxes with their score, best first, and the (k,) indices of these in ``dets``.

    Raises:
        ValueError: wrong shapes.
    """
    _check('nms_rotated', dets)
    if scores.shape != dets.shape[:1]:
        raise ValueError(f'nms_rotated: expected scores ({len(dets)},), got {tuple(scores.shape)}')
    order = scores.detach().argsort(descending=True)
    corners = rotated_corners(dets.detach()[order].double(), clockwise)
    groups = None if labels is None else labels[order]
    better, worse = _overlapping_pairs(corners, groups, iou_threshold)
    kept = order[_greedy(len(dets), better, worse)]
    return torch.cat([dets[kept], scores[kept, None]], 1), kept


def _overlapping_pairs(corners: Tensor, groups: Tensor | None, iou_threshold: float) -> tuple[Tensor, Tensor]:
    """Rows (i, j), i < j, of boxes of one group whose IoU is greater than the threshold; corners (n, 4, 2)."""
    boxes = bounds(corners)
    pairs = [torch.zeros(2, 0, dtype=torch.long, device=corners.device)]
    for start in range(0, len(corners), ROWS_AT_ONCE):
        meet = bounds_meet(boxes[start : start + ROWS_AT_ONCE], boxes).triu(start + 1)
        if groups is not None:
            meet &= groups[start : start + ROWS_AT_ONCE, None] == groups
        found = meet.nonzero().t() + meet.new_tensor([[start], [0]], dtype=torch.long)
        overlaps = overlaps_of_pairs(corners[found[0]], corners[found[1]])
        pairs.append(found[:, overlaps > iou_threshold])
    better, worse = torch.cat(pairs, 1)
    return better, worse


def _greedy(count: int, better: Tensor, worse: Tensor) -> Tensor:
    """Which of ``count`` boxes, best first, stay if each that stays drops its worse ones; (count,) bool.

    All boxes are decided at once, again and again until nothing changes: box after box would be as many steps as
    boxes, this is as many as the longest chain of boxes that drop each other.
    """
    stays = torch.ones(count, dtype=torch.bool, device=better.device)
    while True:
        decided = torch.ones_like(stays)
        decided[worse[stays[better]]] = False
        if torch.equal(decided, stays):
            return stays
        stays = decided
