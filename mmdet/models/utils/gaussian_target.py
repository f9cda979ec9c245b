"""Heat maps of corners and centres: making them, and finding their peaks.

N images, C channels or classes, H by W cells, k chosen cells.
"""

from math import sqrt

import torch
from torch import Tensor
from torch.nn import functional as F


def gaussian2D(
    radius: int, sigma: float = 1, dtype: torch.dtype = torch.float32, device: str | torch.device = 'cpu'
) -> Tensor:
    """``exp(-(x^2 + y^2) / (2 sigma^2))`` on a grid of ``2 * radius + 1`` by as many cells; 1 in the middle."""
    steps = torch.arange(-radius, radius + 1, dtype=dtype, device=device)
    kernel = (-(steps**2 + steps[:, None] ** 2) / (2 * sigma**2)).exp()
    # exactly 0 where it is lost in rounding: what is 0 in the map counts as a plain negative
    return torch.where(kernel < torch.finfo(dtype).eps * kernel.max(), 0, kernel)


def gen_gaussian_target(heatmap: Tensor, center: list[int], radius: int, k: float = 1) -> Tensor:
    """Raise a heat map to a Gaussian where it is lower, in place.

    Args:
        heatmap: ``(H, W)``; changed.
        center: x and y of the peak, in cells, within the map.
        radius: half the side of the Gaussian's square, in cells; its sigma is a sixth of the side.
        k: height of the peak. Default: 1.

    Returns:
        ``heatmap``.
    """
    radius, (x, y) = int(radius), (int(c) for c in center)
    height, width = heatmap.shape[:2]
    left, right = min(x, radius), min(width - x, radius + 1)
    top, bottom = min(y, radius), min(height - y, radius + 1)
    kernel = gaussian2D(radius, sigma=(2 * radius + 1) / 6, dtype=heatmap.dtype, device=heatmap.device)
    area = heatmap[y - top : y + bottom, x - left : x + right]
    # the greater of both: the slope of a neighbour must not lower a peak
    area.copy_(area.maximum(k * kernel[radius - top : radius + bottom, radius - left : radius + right]))
    return heatmap


def gaussian_radius(det_size: tuple[float, float], min_overlap: float) -> float:
    """How far corners may move so that the IoU stays at ``min_overlap`` (CornerNet, https://arxiv.org/abs/1808.01244).

    The least of three radii r, each the root of a quadratic equation for a box of h by w: both corners move in the same
    direction, ``(h - r)(w - r) / (2 h w - (h - r)(w - r)) = m``; both inwards, ``(h - 2 r)(w - 2 r) = m h w``; both
    outwards, ``h w = m (h + 2 r)(w + 2 r)``.

    Args:
        det_size: height and width.
        min_overlap: m, in (0, 1].
    """
    height, width = (float(side) for side in det_size)
    total, area, m = height + width, height * width, min_overlap
    same = (total - sqrt(total**2 - 4 * area * (1 - m) / (1 + m))) / 2
    inwards = (total - sqrt(total**2 - 4 * (1 - m) * area)) / 4
    outwards = (-m * total + sqrt((m * total) ** 2 + 4 * m * (1 - m) * area)) / (4 * m)
    return min(same, inwards, outwards)


def get_local_maximum(heat: Tensor, kernel: int = 3) -> Tensor:
    """``(N, C, H, W)`` with zeros where a value is not the greatest of its ``kernel`` by ``kernel`` cells."""
    return heat * (F.max_pool2d(heat, kernel, stride=1, padding=(kernel - 1) // 2) == heat)


def get_topk_from_heatmap(scores: Tensor, k: int = 20) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The ``k`` highest cells of each image.

    Args:
        scores: ``(N, C, H, W)``.
        k: how many.

    Returns:
        Scores, indices in the flattened H * W, classes, rows (float) and columns (float), each ``(N, k)``.
    """
    height, width = scores.shape[2:]
    values, flat = scores.flatten(1).topk(k)
    classes, cells = flat // (height * width), flat % (height * width)
    return values, cells, classes, (cells // width).float(), (cells % width).float()


def gather_feat(feat: Tensor, ind: Tensor, mask: Tensor | None = None) -> Tensor:
    """Rows of a feature by their indices.

    Args:
        feat: ``(N, M, C)``.
        ind: ``(N, k)``, in [0, M).
        mask: ``(N, k)`` bool; only these rows are given.

    Returns:
        ``(N, k, C)``, or ``(mask.sum(), C)`` with ``mask``.
    """
    rows = feat.gather(1, ind[..., None].expand(-1, -1, feat.size(2)))
    return rows if mask is None else rows[mask.bool()]


def transpose_and_gather_feat(feat: Tensor, ind: Tensor) -> Tensor:
    """Cells of a map ``(N, C, H, W)`` by their indices ``(N, k)`` in H * W, as ``(N, k, C)``."""
    return gather_feat(feat.flatten(2).transpose(1, 2), ind)
