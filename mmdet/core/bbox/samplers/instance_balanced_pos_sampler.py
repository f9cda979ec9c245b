"""Positives evenly from all objects (Libra R-CNN, https://arxiv.org/abs/1904.02701)."""

from typing import Any

from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult
from mmdet.core.bbox.builder import BBOX_SAMPLERS
from mmdet.core.bbox.samplers.base_sampler import positives
from mmdet.core.bbox.samplers.choice import balanced_choice
from mmdet.core.bbox.samplers.random_sampler import RandomSampler


@BBOX_SAMPLERS.register_module()
class InstanceBalancedPosSampler(RandomSampler):
    """As many positives of each ground truth as possible; random negatives."""

    def _sample_pos(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> Tensor:
        inds = positives(assign_result)
        if len(inds) <= num_expected:
            return inds
        gt_inds = assign_result.gt_inds[inds]
        quota = round(num_expected / len(gt_inds.unique())) + 1
        return balanced_choice(inds, gt_inds, quota, num_expected)
