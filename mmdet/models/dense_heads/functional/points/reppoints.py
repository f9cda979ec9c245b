"""Sets of points that stand for boxes (RepPoints, https://arxiv.org/abs/1904.11490)."""

import torch
from torch import Tensor

PARTIAL_POINTS = 4  # that 'partial_minmax' looks at
MIN_SIDE = 1e-6  # of a box that is refined
TRANSFORMS = ('minmax', 'partial_minmax', 'moment')


def points_to_bbox(ys: Tensor, xs: Tensor, method: str, stretch: Tensor | None = None) -> Tensor:
    """Boxes (N, 4, ...) of points (N, P, ...).

    Args:
        ys, xs: of the points.
        method: ``'minmax'``: the box around all; ``'partial_minmax'``: around the first four; ``'moment'``: mean and
            standard deviation.
        stretch: (2,) logarithms of the factors of the deviations along x and y, for ``'moment'``.
    """
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
