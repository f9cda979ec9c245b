"""Which candidates of an object are its positives: the likelier ones by their losses (https://arxiv.org/abs/2007.08103)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmdet.models.dense_heads.functional.assignment.gaussian_mixture import likely_members


def lowest_of_each_level(
    losses: Tensor, gt_inds: Tensor, level_sizes: Sequence[int], num_gts: int, topk: int
) -> tuple[Tensor, Tensor]:
    """The candidates of each object with the lowest losses, ``topk`` of each level.

    Args:
        losses: (P,) of the candidates, level after level.
        gt_inds: (P,) their objects.
        level_sizes: how many are of each level.
        num_gts: G.
        topk: greatest number of each object and level.

    Returns:
        losses (G, M), ascending, infinite where there are fewer than M; numbers of the candidates (G, M).
    """
    # a table of all objects and candidates, so that all objects are worked on at once; infinite losses sort behind
    own = gt_inds == torch.arange(num_gts, device=losses.device)[:, None]
    table = torch.where(own, losses, torch.inf)
    found, places, start = [], [], 0
    for level in table.split(list(level_sizes), dim=1):
        lowest = level.topk(min(topk, level.size(1)), dim=1, largest=False)
        found.append(lowest.values)
        places.append(lowest.indices + start)
        start += level.size(1)
    values, order = torch.cat(found, dim=1).sort(dim=1, stable=True)
    return values, torch.cat(places, dim=1).gather(1, order)


def chosen_candidates(
    losses: Tensor, gt_inds: Tensor, level_sizes: Sequence[int], num_gts: int, topk: int, covariance_type: str
) -> Tensor:
    """(P,) bool, which candidates of an image are positives: those of the better of two Gaussians over the losses.

    Args:
        losses: (P,) of the candidates, level after level; P > 0.
        gt_inds: (P,) their objects.
        level_sizes: how many are of each level.
        num_gts: G.
        topk: most candidates of an object on each level.
        covariance_type: see :func:`fit_two_gaussians`.
    """
    lowest, places = lowest_of_each_level(losses, gt_inds, level_sizes, num_gts, topk)
    members = likely_members(lowest, lowest.isfinite(), covariance_type)
    # places of others are those of nobody, behind the last candidate, so that the host need not know how many there are
    chosen = gt_inds.new_zeros(len(gt_inds) + 1, dtype=torch.bool)
    chosen[torch.where(members, places, len(gt_inds))] = True
    return chosen[:-1]
