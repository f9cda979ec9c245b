"""Corners of objects: their targets for a whole batch, and boxes from pairs of corners.

N images, K classes, (h, w) cells, k corners of each kind.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmdet.core.img_meta import ImgMeta
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.dense_heads.functional.corners.heatmaps import (
    border_of,
    draw_gaussians,
    gaussian_radii,
    heatmap_weights,
    objects_in_cells,
    write_cells,
)
from mmdet.models.utils.gaussian_target import get_local_maximum, get_topk_from_heatmap, transpose_and_gather_feat
from mmdet.utils.running.device_copy import tensor_like

MIN_OVERLAP = 0.3  # that a box moved by the radius of its Gaussian keeps with its object
# Sides of the central region in which both centres must lie, as parts of the box's (arXiv:2003.09119, section 4.1)
LARGE_AREA, LARGE_REGION, SMALL_REGION = 3500, 1 / 2.1, 1 / 2.4
CORNERS = ('topleft', 'bottomright')
REJECTED = -1.0  # score of pairs that are no box


def corner_targets(
    gt_bboxes: Sequence[Tensor], gt_labels: Sequence[Tensor], feat_shape: Sequence[int], img_shape: Sequence[int]
) -> dict[str, Tensor]:
    """Targets of top-left and bottom-right corners.

    Args:
        gt_bboxes: N times (G, 4).
        gt_labels: N times (G,).
        feat_shape: (N, K, h, w).
        img_shape: (h, w[, c]) of the padded images, pixels.

    Returns:
        of both corners, x before y: ``..._heatmap`` (N, K, h, w); (N, 2, h, w) zeros but at corners: ``..._offset`` of
        the corner in its cell, ``..._guiding_shift`` from the cell to the object's centre, ``..._centripetal_shift``,
        the logarithm of the way from the corner to the centre; and ``cells`` (G, 4), column and row of both.
    """
    num, num_classes, height, width = feat_shape
    boxes, labels, images = objects_in_cells(gt_bboxes, gt_labels, feat_shape, img_shape)
    last = tensor_like([width - 1, height - 1], boxes)
    sizes = (boxes[:, 2:] - boxes[:, :2]).ceil()
    radii = gaussian_radii(sizes.flip(1), MIN_OVERLAP)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    targets: dict[str, Tensor] = {}
    cells_of_both = []
    for name, corners, sign in zip(CORNERS, (boxes[:, :2], boxes[:, 2:]), (1, -1)):
        cells = corners.minimum(last).long()  # a corner on the right or lower border belongs to the last cell
        heatmap = draw_gaussians(num * num_classes, (height, width), images * num_classes + labels, cells, radii)
        values = torch.cat([corners - cells, sign * (centres - cells), (sign * (centres - corners)).log()], dim=1)
        written = write_cells(values, images, cells, (num, height, width)).split(2, dim=1)
        kinds = ('offset', 'guiding_shift', 'centripetal_shift')
        targets |= {f'{name}_{kind}': value for kind, value in zip(kinds, written)}
        targets[f'{name}_heatmap'] = heatmap.view(num, num_classes, height, width)
        cells_of_both.append(cells)
    return targets | dict(cells=torch.cat(cells_of_both, dim=1))


def targets_of_kinds(
    gt_bboxes: Sequence[Tensor],
    gt_labels: Sequence[Tensor],
    feat_shape: Sequence[int],
    img_shape: Sequence[int],
    kinds: Sequence[str],
    with_tags: bool,
) -> dict[str, Any]:
    """Those of :func:`corner_targets` that are of ``kinds``, and with tags ``corner_embedding``.

    The latter are for each of N images (G, 2, 2): of each object row and column of both corners.
    """
    found = corner_targets(gt_bboxes, gt_labels, feat_shape, img_shape)
    targets: dict[str, Any] = {f'{c}_{kind}': found[f'{c}_{kind}'] for kind in kinds for c in CORNERS}
    if with_tags:
        by_image = found['cells'][:, [1, 0, 3, 2]].view(-1, 2, 2).split([len(boxes) for boxes in gt_bboxes])
        targets['corner_embedding'] = list(by_image)
    return targets


def weighed_targets(
    head: BaseDenseHead,
    targets: dict[str, Any],
    heats: Sequence[Tensor],
    gt_bboxes: list[Tensor],
    img_metas: list[ImgMeta],
) -> dict[str, Any]:
    """Targets with the weights of one level, as the images say: ``..._class_weight`` and ``..._weight``.

    Args:
        head: weighs the rows; see :func:`heatmap_weights`.
        targets: of :func:`targets_of_kinds`.
        heats: (N, K, h, w) logits of both corners.
        gt_bboxes: N times (G, 4).
        img_metas: meta information of the N images.
    """
    weights: dict[str, Tensor] = {}
    shape = img_metas[0]['pad_shape']
    for corner, heat in zip(CORNERS, heats):
        # policies read scores: an unsure negative counts less, so each level, which has scores of its own, is weighed
        found = heatmap_weights(head, heat.sigmoid(), targets[f'{corner}_heatmap'], gt_bboxes, img_metas, shape)
        weights |= dict(zip((f'{corner}_class_weight', f'{corner}_weight'), found))
    return targets | weights | dict(image_weights=head.image_weights(img_metas, heats[0].device))


class Corners(NamedTuple):
    """The best corners of one kind."""

    scores: Tensor  # (N, k)
    classes: Tensor  # (N, k)
    points: Tensor  # (N, k, 2) x, y in cells, with their offsets
    cells: Tensor  # (N, k) indices in h * w


def best_corners(heat: Tensor, offsets: Tensor, k: int, kernel: int) -> Corners:
    """The ``k`` highest peaks of heat maps (N, K, h, w), moved by offsets (N, 2, h, w)."""
    peaks = get_local_maximum(heat, kernel=kernel)
    scores, cells, classes, rows, columns = get_topk_from_heatmap(peaks, k=min(k, peaks[0].numel()))
    points = torch.stack([columns, rows], dim=-1) + transpose_and_gather_feat(offsets, cells)
    return Corners(scores, classes, points, cells)


def pair_boxes(first: Tensor, second: Tensor, pixels: Tensor, border: Tensor) -> Tensor:
    """(N, k, k, 4) boxes of all pairs of points (N, k, 2) in cells, in pixels of the image, not left of or above it."""
    first, second = ((points * pixels - border).clamp(min=0) for points in (first, second))
    first, second = first[:, :, None], second[:, None]
    return torch.cat([first.expand(-1, -1, second.size(2), -1), second.expand(-1, first.size(1), -1, -1)], dim=-1)


def areas(boxes: Tensor) -> Tensor:
    """(...) areas of boxes (..., 4), whichever way round their corners are."""
    return (boxes[..., 2:] - boxes[..., :2]).prod(dim=-1).abs()


def off_centre(boxes: Tensor, centre_boxes: Tensor) -> tuple[Tensor, Tensor]:
    """How far the centres that both corners point at lie apart, and whether one is outside the central region.

    Args:
        boxes: (..., 4).
        centre_boxes: (..., 4) both centres, that of the top-left corner first.

    Returns:
        (...) area between both centres as a part of the central region's; (...) bool.
    """
    part = torch.where(areas(boxes) > LARGE_AREA, LARGE_REGION, SMALL_REGION)[..., None]
    middle, half = (boxes[..., :2] + boxes[..., 2:]) / 2, part * (boxes[..., 2:] - boxes[..., :2]) / 2
    region = torch.cat([middle - half, middle + half], dim=-1)
    points = centre_boxes.unflatten(-1, (2, 2))
    outside = (points <= region[..., None, :2]) | (points >= region[..., None, 2:])
    return areas(centre_boxes) / areas(region), outside.flatten(-2).any(dim=-1)


def far_tags(first: Tensor, second: Tensor, threshold: float) -> Tensor:
    """(N, k, k) bool, of which pairs the tags (N, k) of both corners differ by more than ``threshold``."""
    return (first[:, :, None] - second[:, None]).abs() > threshold


def far_centres(boxes: Tensor, centre_boxes: Tensor, threshold: float) -> Tensor:
    """(N, k, k) bool, of which pairs the centres are too far apart or outside; see :func:`off_centre`."""
    distances, outside = off_centre(boxes, centre_boxes)
    return outside | (distances > threshold)


def best_pairs(
    top_left: Corners, bottom_right: Corners, boxes: Tensor, rejected: Tensor, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The ``count`` best pairs of corners.

    Args:
        top_left, bottom_right: corners.
        boxes: (N, k, k, 4) of all pairs.
        rejected: (N, k, k) bool: pairs that are no box, beside those of two classes and those without area.
        count: how many.

    Returns:
        boxes (N, count, 4), scores (N, count, 1), ``REJECTED`` of what is no box, and classes (N, count, 1).
    """
    scores = (top_left.scores[:, :, None] + bottom_right.scores[:, None]) / 2
    rejected = rejected | (top_left.classes[:, :, None] != bottom_right.classes[:, None])
    rejected = rejected | (boxes[..., 2:] <= boxes[..., :2]).any(dim=-1)
    # masked and not left out, so that every image has as many pairs
    scores = scores.masked_fill(rejected, REJECTED).flatten(1)
    classes = top_left.classes[:, :, None].expand_as(rejected).flatten(1)
    scores, places = scores.topk(min(count, scores.size(1)))
    rows = places[..., None].expand(-1, -1, 4)
    return boxes.flatten(1, 2).gather(1, rows), scores[..., None], classes.gather(1, places)[..., None]


def accepted_boxes(boxes: Tensor, scores: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes with scores (m, 5) and labels (m,) of those of an image's pairs, (n, 4), (n, 1), (n, 1), that are boxes."""
    dets = torch.cat([boxes, scores], dim=1)
    valid = dets[:, 4] > REJECTED / 10
    return dets[valid], classes[valid, 0]


def decode_corners(
    heats: Sequence[Tensor],
    offsets: Sequence[Tensor],
    tags: Sequence[Tensor | None],
    shifts: Sequence[Tensor | None],
    img_meta: ImgMeta,
    k: int,
    kernel: int,
    distance_threshold: float,
    count: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes of the best pairs of corners; all maps are pairs, the top-left corner's first.

    Args:
        heats: (N, K, h, w) probabilities.
        offsets: (N, 2, h, w).
        tags: (N, 1, h, w); None: the shifts are given.
        shifts: (N, 2, h, w) logarithms of the way to the centre; None: the tags are given.
        img_meta: ``batch_input_shape`` and ``border`` are read.
        k: corners of each kind.
        kernel: a peak is the greatest of so many by so many cells.
        distance_threshold: pairs whose tags, or centres, lie further apart are no boxes.
        count: how many pairs.

    Returns:
        boxes (N, n, 4) in pixels of the image; scores (N, n, 1), -1 of what is no box; classes (N, n, 1).

    Raises:
        ValueError: neither tags nor shifts are given, or both.
    """
    tag_maps, shift_maps = ([m for m in pair if m is not None] for pair in (tags, shifts))
    if (len(tag_maps) == 2) == (len(shift_maps) == 2):
        raise ValueError('decode_heatmap: either tags or centripetal shifts of both corners must be given')
    corners = [best_corners(*maps, k, kernel) for maps in zip(heats, offsets)]
    first, second = corners
    height, width = heats[0].shape[2:]
    input_h, input_w = img_meta['batch_input_shape']
    pixels = tensor_like([input_w / width, input_h / height], heats[0])
    border = tensor_like(border_of(img_meta), heats[0])
    boxes = pair_boxes(first.points, second.points, pixels, border)
    if len(tag_maps) == 2:
        first_tags, second_tags = (transpose_and_gather_feat(m, c.cells)[..., 0] for m, c in zip(tag_maps, corners))
        rejected = far_tags(first_tags, second_tags, distance_threshold)
    else:
        # logarithms: the centre lies below and right of the first corner, above and left of the second, never behind
        first_way, second_way = (transpose_and_gather_feat(m, c.cells).exp() for m, c in zip(shift_maps, corners))
        centre_boxes = pair_boxes(first.points + first_way, second.points - second_way, pixels, border)
        rejected = far_centres(boxes, centre_boxes, distance_threshold)
    return best_pairs(first, second, boxes, rejected, count)
