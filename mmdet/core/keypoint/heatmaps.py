"""From keypoints to positions in the heat maps of RoIs, and back (Mask R-CNN, https://arxiv.org/abs/1703.06870).

Legend: n RoIs, K keypoints, a heat map of h rows and w columns a RoI and keypoint. Keypoints are x, y in px of the
network's input, where pixel 0 covers 0 to 1, and a visibility: 0 not labelled, 1 labelled but hidden, 2 visible.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

CUBIC = -0.75  # slope of the bicubic kernel, as in torch's interpolation
# numbers of the enlarged heat maps that are held at a time: 128 MiB; on a CPU 4 MiB, which stay in its cache
CHUNK_VALUES = 2**25
CHUNK_VALUES_CPU = 2**20


class DecodedKeypoints(NamedTuple):
    """The best place of every heat map."""

    points: Tensor  # (n, K, 2) x, y px
    logits: Tensor  # (n, K) of the enlarged map there
    scores: Tensor  # (n, K) its softmax over the positions of the map; below 1 but for the overshoot of the cubic


def keypoint_targets(keypoints: Tensor, boxes: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Where in the heat maps of their boxes keypoints lie.

    Args:
        keypoints: (n, K, 3) x, y, visibility.
        boxes: (n, 4) xyxy px.
        size: rows and columns of the maps.

    Returns:
        (n, K) long positions ``row * size + column``, 0 where they do not count; (n, K) bool, whether they do: the
        point is labelled and inside its box, right and lower edge included. A box without extent holds none.
    """
    low, extent = boxes[:, None, :2], (boxes[:, 2:] - boxes[:, :2])[:, None]
    has_area = (extent > 0).all(2)  # (n, 1)
    xy = keypoints[..., :2]
    cells = ((xy - low) * (size / extent.where(extent > 0, torch.ones_like(extent)))).floor().long()
    # a point on the far edge belongs to the last cell
    cells = torch.where(xy == boxes[:, None, 2:], size - 1, cells)
    inside = ((cells >= 0) & (cells < size)).all(2)
    valid = inside & has_area & (keypoints[..., 2] > 0)
    return (cells[..., 1] * size + cells[..., 0]) * valid, valid


def flip_heatmaps(heatmaps: Tensor, flip_indices: Sequence[int]) -> Tensor:
    """(n, K, h, w) of a horizontally mirrored image -> of the image; ``flip_indices`` as a skeleton has them."""
    return heatmaps.flip(3)[:, list(flip_indices)]


@torch.no_grad()
def decode_heatmaps(heatmaps: Tensor, boxes: Tensor, chunk_values: int | None = None) -> DecodedKeypoints:
    """Keypoints from heat maps: these are enlarged to the pixels of their boxes, and the best pixel is taken.

    Many RoIs are enlarged at once, those of like size together.

    Args:
        heatmaps: (n, K, h, w) logits.
        boxes: (n, 4) xyxy px; what is smaller than a pixel counts as one.
        chunk_values: numbers that the enlarged maps may have at a time (at least one map is made); None: what suits the
            device.
    """
    heatmaps, boxes = heatmaps.float(), boxes.float()
    if chunk_values is None:
        chunk_values = CHUNK_VALUES_CPU if heatmaps.device.type == 'cpu' else CHUNK_VALUES
    num_rois, num_points = heatmaps.shape[:2]
    extent = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)  # (n, 2) w, h
    sizes = extent.ceil().long()
    cells = heatmaps.new_zeros((num_rois, num_points, 2))
    logits = heatmaps.new_zeros((num_rois, num_points))
    order = sizes.prod(1).argsort(descending=True, stable=True)
    for chunk, points in _chunks(sizes[order].cpu().numpy(), num_points, chunk_values):
        rows = order[chunk]
        cells[rows, points], logits[rows, points] = _best_cells(heatmaps[rows, points], sizes[rows])
    xy = (cells + 0.5) * (extent / sizes)[:, None] + boxes[:, None, :2]
    scores = (logits - heatmaps.flatten(2).logsumexp(2)).exp()
    return DecodedKeypoints(xy, logits, scores)


def _chunks(sizes_wh: np.ndarray, num_points: int, chunk_values: int) -> Iterator[tuple[slice, slice]]:
    """Pieces of the RoIs, and of their points where one RoI has too many; sizes (n, 2) px, large ones first."""
    # the canvas of a piece that begins at RoI i is at most as large as the widest and the highest from there on
    largest = np.maximum.accumulate(sizes_wh[::-1], axis=0)[::-1].prod(1)
    start = 0
    while start < len(sizes_wh):
        points_at_once = int(min(num_points, max(1, chunk_values // sizes_wh[start].prod())))
        stop = start + int(max(1, chunk_values // (largest[start] * num_points)))
        for point in range(0, num_points, points_at_once):
            yield slice(start, stop), slice(point, point + points_at_once)
        start = stop


def _best_cells(maps: Tensor, sizes_wh: Tensor) -> tuple[Tensor, Tensor]:
    """Maps (r, k, h, w), enlarged to (r, 2) columns and rows -> best cell (r, k, 2) x, y and its value (r, k)."""
    width, height = sizes_wh.amax(0).tolist()
    along_y = cubic_weights(sizes_wh[:, 1], height, maps.size(2))
    along_x = cubic_weights(sizes_wh[:, 0], width, maps.size(3))
    with torch.autocast(maps.device.type, enabled=False):  # half precision could not tell neighbouring pixels apart
        large = along_y[:, None] @ maps @ along_x[:, None].transpose(2, 3)  # (r, k, height, width)
    beyond_y = torch.arange(height, device=maps.device) >= sizes_wh[:, 1:]  # (r, height)
    beyond_x = torch.arange(width, device=maps.device) >= sizes_wh[:, :1]
    large.masked_fill_(beyond_y[:, None, :, None] | beyond_x[:, None, None, :], float('-inf'))
    best, where = large.flatten(2).max(2)
    return torch.stack([where % width, where.div(width, rounding_mode='floor')], 2).to(maps.dtype), best


def cubic_weights(sizes: Tensor, limit: int, cells: int) -> Tensor:
    """Matrices that enlarge rows of ``cells`` values by cubic interpolation.

    Args:
        sizes: (r,) numbers of values wanted.
        limit: the largest of them.
        cells: values that there are; beyond the ends the last ones go on.

    Returns:
        (r, limit, cells); the lines of matrix i beyond ``sizes[i]`` mean nothing.
    """
    centres = torch.arange(limit, device=sizes.device, dtype=torch.float32) + 0.5
    place = centres * (cells / sizes[:, None].float()) - 0.5
    first = place.floor()
    t = place - first
    weights = torch.stack([_far(t + 1), _near(t), _near(1 - t), _far(2 - t)], dim=-1)
    neighbours = (first.long()[..., None] + torch.arange(-1, 3, device=sizes.device)).clamp(0, cells - 1)
    matrices = torch.zeros((len(sizes), limit, cells), device=sizes.device)
    return matrices.scatter_add_(2, neighbours, weights)


def _near(distance: Tensor) -> Tensor:
    """The cubic kernel for distances up to one cell."""
    return ((CUBIC + 2) * distance - (CUBIC + 3)) * distance * distance + 1


def _far(distance: Tensor) -> Tensor:
    """The cubic kernel for distances of one to two cells."""
    return ((CUBIC * distance - 5 * CUBIC) * distance + 8 * CUBIC) * distance - 4 * CUBIC
