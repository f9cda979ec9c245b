"""Sets of points that stand for boxes (RepPoints, https://arxiv.org/abs/1904.11490)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmdet.utils.registry import did_you_mean

PARTIAL_POINTS = 4  # that 'partial_minmax' looks at
MIN_SIDE = 1e-6  # of a box that is refined
TRANSFORMS = ('minmax', 'partial_minmax', 'moment')


def check_transform(method: str) -> None:
    """Check the name of a way from points to a box.

    Raises:
        ValueError: it is none of :data:`TRANSFORMS`.
    """
    if method not in TRANSFORMS:
        hint = did_you_mean(method, TRANSFORMS)
        raise ValueError(f'transform_method: expected one of {", ".join(TRANSFORMS)}, got {method!r}{hint}')


def points_to_bbox(pts: Tensor, y_first: bool, method: str, stretch: Tensor | None = None) -> Tensor:
    """Boxes (N, 4, ...) of sets of points (N, 2 * P, ...).

    Args:
        pts: both numbers of each point, one after the other.
        y_first: which of them comes first.
        method: ``'minmax'``: the box around all; ``'partial_minmax'``: around the first four; ``'moment'``: mean and
            standard deviation.
        stretch: (2,) logarithms of the factors of the deviations along x and y, for ``'moment'``.
    """
    first, second = pts.unflatten(1, (-1, 2)).unbind(dim=2)
    ys, xs = (first, second) if y_first else (second, first)
    if method == 'moment' and stretch is not None:
        # points spread evenly over a box deviate by its half side over sqrt(3): the learnt factor makes up for that,
        # however the points come to lie
        (mean_x, half_w), (mean_y, half_h) = (
            (v.mean(dim=1), v.std(dim=1) * factor.exp()) for v, factor in zip((xs, ys), stretch)
        )
        return torch.stack([mean_x - half_w, mean_y - half_h, mean_x + half_w, mean_y + half_h], dim=1)
    if method == 'partial_minmax':
        ys, xs = ys[:, :PARTIAL_POINTS], xs[:, :PARTIAL_POINTS]
    return torch.stack([xs.amin(dim=1), ys.amin(dim=1), xs.amax(dim=1), ys.amax(dim=1)], dim=1)


def grid_of_bbox(reg: Tensor, previous_boxes: Tensor, kernel: int) -> tuple[Tensor, Tensor]:
    """Points (N, 2 * kernel ** 2, H, W), y before x, row by row, on a grid over refined boxes, and these (N, 4, H, W).

    Args:
        reg: (N, 4, H, W) shifts of the centre in sizes of the box, and logarithms of the sizes' ratios.
        previous_boxes: (N or 1, 4, H or 1, W or 1).
        kernel: points along each side.
    """
    centre = (previous_boxes[:, :2] + previous_boxes[:, 2:]) / 2
    # a box without a side could not grow by any factor
    size = (previous_boxes[:, 2:] - previous_boxes[:, :2]).clamp(min=MIN_SIDE)
    refined = size * reg[:, 2:].exp()
    corner = centre + size * reg[:, :2] - refined / 2
    steps = torch.linspace(0, 1, kernel, device=reg.device, dtype=reg.dtype).view(1, -1, 1, 1)
    xs, ys = (corner[:, i : i + 1] + refined[:, i : i + 1] * steps for i in (0, 1))  # (N, kernel, H, W)
    ys, xs = ys[:, :, None].expand(-1, -1, kernel, -1, -1), xs[:, None].expand(-1, kernel, -1, -1, -1)
    return torch.stack([ys, xs], dim=3).flatten(1, 3), torch.cat([corner, corner + refined], dim=1)


def first_boxes(places: Tensor, side: float) -> Tensor:
    """Boxes (n, 4) with sides of so many pixels around places (n, 2+)."""
    return torch.cat([places[:, :2] - side * 0.5, places[:, :2] + side * 0.5], dim=1)


def points_of_maps(
    centers: Sequence[Sequence[Tensor]], maps: Sequence[Tensor], strides: Sequence[float]
) -> list[Tensor]:
    """Points in pixels, x before y, L times (N, H * W, 2 * P), of maps in strides.

    Args:
        centers: N times L times (H * W, 2+), x and y of the places that the points are counted from.
        maps: L times (N, 2 * P, H, W), y before x.
        strides: pixels of a cell of each level.
    """
    points = []
    for level, (pred, stride) in enumerate(zip(maps, strides)):
        rows = pred.flatten(2).transpose(1, 2).unflatten(2, (-1, 2)).flip(3) * stride  # (N, H * W, P, 2)
        places = torch.stack([image[level][:, :2] for image in centers])
        points.append((rows + places[:, :, None]).flatten(2))
    return points
