"""Negatives evenly over their overlap (Libra R-CNN, https://arxiv.org/abs/1904.02701)."""

from typing import Any

import torch
from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult
from mmdet.core.bbox.builder import BBOX_SAMPLERS
from mmdet.core.bbox.samplers.base_sampler import negatives
from mmdet.core.bbox.samplers.choice import at_most, balanced_choice, random_choice
from mmdet.core.bbox.samplers.random_sampler import RandomSampler


@BBOX_SAMPLERS.register_module()
class IoUBalancedNegSampler(RandomSampler):
    """Random positives; negatives evenly from bins of their overlap with the ground truth.

    Args:
        num: boxes in all.
        pos_fraction: largest fraction of positives.
        floor_thr: negatives of less overlap (0: of no overlap) are picked at random, not by bins; -1: none is.
        floor_fraction: fraction of those among the negatives, where there are enough others.
        num_bins: bins between the floor and the highest overlap of all boxes.

    Raises:
        ValueError: a number is outside its range.
    """

    def __init__(
        self,
        num: int,
        pos_fraction: float,
        floor_thr: float = -1,
        floor_fraction: float = 0,
        num_bins: int = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(num, pos_fraction, **kwargs)
        if not (floor_thr >= 0 or floor_thr == -1) or not 0 <= floor_fraction <= 1 or num_bins < 1:
            raise ValueError(
                'expected floor_thr >= 0 or -1, floor_fraction in [0, 1] and num_bins >= 1; '
                f'got {floor_thr}, {floor_fraction} and {num_bins}'
            )
        self.floor_thr = floor_thr
        self.floor_fraction = floor_fraction
        self.num_bins = num_bins

    def sample_via_interval(self, max_overlaps: Tensor, full_set: Tensor, num_expected: int) -> Tensor:
        """At most ``num_expected`` of the indices ``full_set`` (k,), evenly from bins of their overlap.

        Args:
            max_overlaps: (n,) of all boxes.
            full_set: (k,) long.
            num_expected: so many are picked where there are as many.
        """
        floor = max(self.floor_thr, 0)
        # where no box overlaps more than the floor, all are in the first bin: a width of 0 would divide by 0
        step = (max_overlaps.max() - floor).clamp(min=torch.finfo(max_overlaps.dtype).eps) / self.num_bins
        bins = ((max_overlaps[full_set] - floor) / step).long().clamp(0, self.num_bins - 1)
        return balanced_choice(full_set, bins, num_expected // self.num_bins, num_expected)

    def _sample_neg(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> Tensor:
        inds = negatives(assign_result)
        if len(inds) <= num_expected or num_expected <= 0:
            return inds[: max(num_expected, 0)]
        overlaps = assign_result.max_overlaps
        if overlaps is None:
            raise ValueError(
                'IoUBalancedNegSampler: the assigner must find overlaps, as MaxIoUAssigner does; it found none'
            )
        low = self.below_floor(overlaps[inds])
        high_inds, low_inds = inds[~low], inds[low]
        num_high = int(num_expected * (1 - self.floor_fraction))
        picked = self.sample_via_interval(overlaps, high_inds, num_high)
        picked = torch.cat([picked, at_most(low_inds, num_expected - len(picked))])
        # bins that run short leave places, which any negatives take: the number of samples stays as asked for
        others = inds[~torch.isin(inds, picked)]
        return torch.cat([picked, random_choice(others, num_expected - len(picked))])

    def below_floor(self, overlaps: Tensor) -> Tensor:
        """(n,) bool: which overlaps (n,) lie on the floor."""
        return overlaps == 0 if self.floor_thr == 0 else overlaps < self.floor_thr
