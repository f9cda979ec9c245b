"""Choose and read points of mask predictions (PointRend, https://arxiv.org/abs/1912.08193).

Points are (x, y) in [0, 1] of the map, (0, 0) the upper left corner of its first cell.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def point_sample(input: Tensor, points: Tensor, align_corners: bool = False, **kwargs: Any) -> Tensor:
    """Interpolate a map at points.

    Args:
        input: ``(N, C, H, W)``.
        points: ``(N, P, 2)``, or ``(N, Hg, Wg, 2)`` for a grid.
        align_corners: 0 and 1 are the middles of the outer cells. Default: False.
        kwargs: further arguments of ``torch.nn.functional.grid_sample``.

    Returns:
        ``(N, C, P)``, or ``(N, C, Hg, Wg)``.
    """
    grid = points.unsqueeze(2) if points.dim() == 3 else points
    # grid_sample counts from -1 to 1
    out = F.grid_sample(input, 2 * grid - 1, align_corners=align_corners, **kwargs)
    return out.squeeze(3) if points.dim() == 3 else out


def get_uncertainty(mask_pred: Tensor, labels: Tensor | None) -> Tensor:
    """How uncertain a mask is at each point: minus the size of the logit.

    Args:
        mask_pred: ``(M, C, ...)`` logits of each class, or of one (C = 1).
        labels: ``(M,)`` the class to look at; not read where C = 1.

    Returns:
        ``(M, 1, ...)``, at most 0; 0 is least certain.
    """
    if mask_pred.size(1) > 1:
        rows = torch.arange(len(mask_pred), device=mask_pred.device)
        mask_pred = mask_pred[rows, labels].unsqueeze(1)
    return -mask_pred.abs()


def get_uncertain_point_coords_with_randomness(
    mask_pred: Tensor, labels: Tensor | None, num_points: int, oversample_ratio: float, importance_sample_ratio: float
) -> Tensor:
    """Draw points, the most of them where the mask is uncertain.

    Args:
        mask_pred: ``(M, C, H, W)`` logits.
        labels: ``(M,)`` the class to look at; not read where C = 1.
        num_points: P, how many points for each mask.
        oversample_ratio: the uncertain points are chosen from this many times P random ones; at least 1.
        importance_sample_ratio: fraction of uncertain points, 0 to 1; the others are random.

    Returns:
        ``(M, P, 2)``.

    Raises:
        ValueError: a ratio out of its range.
    """
    if oversample_ratio < 1 or not 0 <= importance_sample_ratio <= 1:
        raise ValueError(
            'expected oversample_ratio >= 1 and importance_sample_ratio in [0, 1], '
            f'got {oversample_ratio} and {importance_sample_ratio}'
        )
    drawn = torch.rand(len(mask_pred), int(num_points * oversample_ratio), 2, device=mask_pred.device)
    uncertainty = get_uncertainty(point_sample(mask_pred, drawn), labels)[:, 0]
    num_uncertain = int(importance_sample_ratio * num_points)
    best = uncertainty.topk(num_uncertain, dim=1).indices
    coords = drawn.gather(1, best[..., None].expand(-1, -1, 2))
    if num_uncertain == num_points:
        return coords
    others = torch.rand(len(mask_pred), num_points - num_uncertain, 2, device=mask_pred.device)
    return torch.cat((coords, others), dim=1)
