"""The anchors of one cell: sizes from scales and ratios, and boxes of these sizes."""

import torch
from torch import Tensor

# Of the range of SSD's sizes in percent of the input: (input size, lowest percentage of the range) -> the percentages
# between which the first level's sizes lie (https://arxiv.org/abs/1512.02325, section 3).
SSD_FIRST_LEVEL = {(300, 15): (7, 15), (300, 20): (10, 20), (512, 10): (4, 10), (512, 15): (7, 15)}


def anchors_around(center: tuple[float, float], widths: Tensor, heights: Tensor) -> Tensor:
    """(A,) widths and heights -> (A, 4) boxes with one centre (x, y)."""
    x, y = center
    return torch.stack([x - 0.5 * widths, y - 0.5 * heights, x + 0.5 * widths, y + 0.5 * heights], dim=-1)


def anchor_sizes(base_size: float, scales: Tensor, ratios: Tensor, scale_major: bool) -> tuple[Tensor, Tensor]:
    """Widths and heights (S * R,) of a square of ``base_size`` px, scaled and stretched at constant area.

    Args:
        base_size: side of the square.
        scales: (S,) factors of the side.
        ratios: (R,) height over width.
        scale_major: scales run first (all scales of the first ratio come first), else ratios do.
    """
    stretch = ratios.sqrt()
    outer, inner = (stretch, scales) if scale_major else (scales, stretch)
    scale, stretch = (inner[None], outer[:, None]) if scale_major else (outer[:, None], inner[None])
    return (base_size / stretch * scale).reshape(-1), (base_size * stretch * scale).reshape(-1)


def octave_scales(base_scale: float, per_octave: int) -> Tensor:
    """Scales ``base_scale * 2^(i / per_octave)``, i = 0 ... per_octave - 1 (RetinaNet)."""
    return torch.tensor([base_scale * 2 ** (i / per_octave) for i in range(per_octave)])


def ssd_sizes(num_levels: int, input_size: int, ratio_range: tuple[float, float]) -> tuple[list[int], list[int]]:
    """Smallest and largest side in px of SSD's squares on each level.

    Raises:
        ValueError: the input size or the range is not one of the paper's.
    """
    low, high = (int(fraction * 100) for fraction in ratio_range)
    if (input_size, low) not in SSD_FIRST_LEVEL:
        known = ', '.join(f'({size}, {percent / 100})' for size, percent in SSD_FIRST_LEVEL)
        raise ValueError(
            f'without min_sizes and max_sizes, input_size and basesize_ratio_range[0] must be one of {known}; '
            f'got ({input_size}, {ratio_range[0]})'
        )
    step = int((high - low) / (num_levels - 2))
    bounds = [SSD_FIRST_LEVEL[input_size, low], *((p, p + step) for p in range(low, high + 1, step))]
    small, large = zip(*((int(input_size * a / 100), int(input_size * b / 100)) for a, b in bounds))
    return list(small), list(large)
