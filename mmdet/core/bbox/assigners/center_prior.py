"""Helpers of assigners that choose among the boxes whose centre lies in the ground truth."""

import torch
from torch import Tensor

NO_OVERLAP = -1e8  # overlap of a box that is no candidate of any ground truth; users compare with this number


def centers_of(boxes: Tensor) -> Tensor:
    """(n, 4) xyxy -> (n, 2) x, y."""
    return (boxes[:, :2] + boxes[:, 2:4]) / 2


def depth_inside(points: Tensor, boxes: Tensor) -> Tensor:
    """(n, G) distance in px of points (n, 2) to the nearest side of boxes (G, 4); negative outside."""
    low = points[:, None] - boxes[None, :, :2]
    high = boxes[None, :, 2:4] - points[:, None]
    return torch.cat([low, high], dim=-1).amin(dim=-1)


def resolve_by_overlap(candidates: Tensor, overlaps: Tensor) -> tuple[Tensor, Tensor]:
    """Give each box the ground truth that it overlaps most of those whose candidate it is.

    Args:
        candidates: (n, G) bool, G > 0.
        overlaps: (n, G).

    Returns:
        Overlaps (n,) with the chosen ground truth, ``NO_OVERLAP`` where there is none, and its number (n,) from 1, or
        0.
    """
    best, best_gt = overlaps.masked_fill(~candidates, NO_OVERLAP).max(dim=1)
    return best, torch.where(candidates.any(dim=1), best_gt + 1, 0)


def rows_to_mask(rows: Tensor, num_rows: int) -> Tensor:
    """(k, G) long row numbers -> (num_rows, G) bool: whether the column lists the row."""
    mask = torch.zeros(num_rows, rows.size(1), dtype=torch.bool, device=rows.device)
    return mask.scatter(0, rows, True)
