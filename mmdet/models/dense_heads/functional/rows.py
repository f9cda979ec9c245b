"""Rows of a batch: one for each anchor or point, from the maps of the levels; and which of them are positives.

N images, L levels, (H, W) cells of a level, A anchors a cell, R = sum of H * W * A rows of an image. Rows stand level
after level, in each of them cell after cell.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

HALF_TYPES = (torch.float16, torch.bfloat16)


def to_full_precision(maps: Sequence[Tensor]) -> list[Tensor]:
    """Half-precision maps as float32; under autocast, losses and boxes need more than 11 bits. Others as they are."""
    return [m.float() if m.dtype in HALF_TYPES else m for m in maps]


def sizes_of_maps(maps: Sequence[Tensor]) -> list[tuple[int, int]]:
    """(H, W) of each of L maps (..., H, W)."""
    return [(level.shape[-2], level.shape[-1]) for level in maps]


def flatten_map(level_map: Tensor, width: int) -> Tensor:
    """One image's map (A * width, H, W) as one row for each anchor, (H * W * A, width)."""
    return level_map.permute(1, 2, 0).reshape(-1, width)


def rows_of_level(level_map: Tensor, width: int) -> Tensor:
    """The map of a level (N, A * width, H, W) -> (N * H * W * A, width), image after image."""
    return level_map.permute(0, 2, 3, 1).reshape(-1, width)


def rows_of_images(maps: Sequence[Tensor], width: int) -> Tensor:
    """L maps (N, A * width, H, W) -> (N, R, width)."""
    return torch.cat([m.permute(0, 2, 3, 1).reshape(len(m), -1, width) for m in maps], dim=1)


def positive_rows(labels: Tensor, num_classes: int) -> Tensor:
    """(P,) rows, ascending, whose labels (R,) are of a class; negative labels are of rows that are left out."""
    return ((labels >= 0) & (labels < num_classes)).nonzero().squeeze(1)


def output_rows(inside: Tensor, count: int, unmap_outputs: bool) -> tuple[int, Tensor]:
    """Number of rows of an image's targets, and (R',) which of them are those of the anchors ``inside``.

    Args:
        inside: (R',) numbers of the anchors that are assigned.
        count: number R of all anchors.
        unmap_outputs: whether all anchors have a row, or those that are assigned.
    """
    return (count, inside) if unmap_outputs else (len(inside), torch.arange(len(inside), device=inside.device))


def sample_counts(*inds_of_images: Sequence[Tensor]) -> list[int]:
    """Numbers of samples of each kind in a batch, as divisors of its losses.

    Each image counts at least one of each kind, as in mmdetection 2.x, so that no divisor is 0.

    Args:
        inds_of_images: for each kind N times (k,) numbers of the samples.
    """
    return [sum(max(len(inds), 1) for inds in kind) for kind in inds_of_images]
