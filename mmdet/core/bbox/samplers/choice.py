"""Random choices among the elements of a tensor, on its own device."""

import torch
from torch import Tensor


def random_choice(gallery: Tensor, num: int) -> Tensor:
    """``num`` different elements of ``gallery`` (n,), in random order.

    Raises:
        ValueError: there are fewer.
    """
    if len(gallery) < num:
        raise ValueError(f'cannot choose {num} of {len(gallery)} elements')
    return gallery[torch.randperm(len(gallery), device=gallery.device)[:num]]


def at_most(gallery: Tensor, num: int) -> Tensor:
    """``gallery`` (n,) itself, or ``num`` random elements of it where it has more."""
    return gallery if len(gallery) <= num else random_choice(gallery, num)


def balanced_choice(gallery: Tensor, groups: Tensor, quota: int, num: int) -> Tensor:
    """At most ``num`` elements of ``gallery``, evenly from all groups.

    Random elements are taken: first the ``quota`` that come first in a random order of their group, then others.

    Args:
        gallery: (n,).
        groups: (n,) long, the group of each element.
        quota: elements that each group may give before others are asked for more.
        num: elements in all.
    """
    if len(gallery) <= num:
        return gallery
    order = torch.randperm(len(gallery), device=gallery.device)
    by_group = groups[order].sort(stable=True)
    places = torch.arange(len(gallery), device=gallery.device)
    ranks = places - torch.searchsorted(by_group.values, by_group.values)  # 0, 1, ... in each group
    over_quota = torch.empty_like(ranks).scatter(0, by_group.indices, (ranks >= quota).to(ranks.dtype))
    return gallery[order[over_quota.sort(stable=True).indices[:num]]]
