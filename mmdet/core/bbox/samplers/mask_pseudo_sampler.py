"""No sampling of mask predictions: all enter the loss."""

from typing import Any

from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult
from mmdet.core.bbox.builder import BBOX_SAMPLERS
from mmdet.core.bbox.samplers.mask_sampling_result import MaskSamplingResult
from mmdet.core.bbox.samplers.pseudo_sampler import PseudoSampler


@BBOX_SAMPLERS.register_module()
class MaskPseudoSampler(PseudoSampler):
    """Takes all positives and all negatives."""

    def sample(self, assign_result: AssignResult, masks: Tensor, gt_masks: Tensor, **kwargs: Any) -> MaskSamplingResult:
        """All predictions (n, h, w) of one image that were not left out, with ground truth (G, h, w)."""
        return self.take_all(MaskSamplingResult, assign_result, masks, gt_masks, **kwargs)
