"""No sampling: all boxes enter the loss."""

from typing import Any, TypeVar

import torch
from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult
from mmdet.core.bbox.builder import BBOX_SAMPLERS
from mmdet.core.bbox.samplers.base_sampler import BaseSampler, negatives, positives
from mmdet.core.bbox.samplers.sampling_result import SamplingResult

Result = TypeVar('Result', bound=SamplingResult)


@BBOX_SAMPLERS.register_module()
class PseudoSampler(BaseSampler):
    """Takes all positives and all negatives, and adds no ground truth."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(num=-1, pos_fraction=1.0, add_gt_as_proposals=False)

    def _sample_pos(self, assign_result: AssignResult, num_expected: int | None = None, **kwargs: Any) -> Tensor:
        return positives(assign_result)[:num_expected]

    def _sample_neg(self, assign_result: AssignResult, num_expected: int | None = None, **kwargs: Any) -> Tensor:
        return negatives(assign_result)[:num_expected]

    def sample(
        self, assign_result: AssignResult, bboxes: Tensor, gt_bboxes: Tensor, *args: Any, **kwargs: Any
    ) -> SamplingResult:
        """All boxes (n, 4) of one image that were not left out; further arguments as in :class:`BaseSampler`."""
        return self.take_all(SamplingResult, assign_result, bboxes, gt_bboxes, **kwargs)

    def take_all(
        self, kind: type[Result], assign_result: AssignResult, candidates: Tensor, gts: Tensor, **kwargs: Any
    ) -> Result:
        """Result of the given kind with all candidates (n, ...); none of them is ground truth itself."""
        pos_inds = self._sample_pos(assign_result, **kwargs)
        neg_inds = self._sample_neg(assign_result, None, **kwargs)
        gt_flags = torch.zeros(len(candidates), dtype=torch.uint8, device=candidates.device)
        return kind(pos_inds, neg_inds, candidates, gts, assign_result, gt_flags)
