"""What a sampler picks from the mask predictions of one image."""

import torch
from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult
from mmdet.core.bbox.samplers.sampling_result import SamplingResult


class MaskSamplingResult(SamplingResult):
    """The masks of one image that enter the loss: P positives and M negatives.

    Args:
        pos_inds: (P,) long, rows of ``masks``.
        neg_inds: (M,) long, rows of ``masks``.
        masks: (n, h, w) predictions.
        gt_masks: (G, h, w).
        assign_result: of the n predictions.
        gt_flags: (n,) uint8; 1 for masks that are ground truth themselves.
    """

    def __init__(
        self,
        pos_inds: Tensor,
        neg_inds: Tensor,
        masks: Tensor,
        gt_masks: Tensor,
        assign_result: AssignResult,
        gt_flags: Tensor,
    ) -> None:
        self.pos_inds = pos_inds
        self.neg_inds = neg_inds
        self.pos_masks = masks[pos_inds]
        self.neg_masks = masks[neg_inds]
        self.pos_is_gt = gt_flags[pos_inds]
        self.num_gts = len(gt_masks)
        self.pos_assigned_gt_inds = assign_result.gt_inds[pos_inds] - 1
        self.pos_gt_masks = gt_masks[self.pos_assigned_gt_inds]
        self.pos_gt_labels = None if assign_result.labels is None else assign_result.labels[pos_inds]

    @property
    def masks(self) -> Tensor:
        """(P + M, h, w): the positives, then the negatives."""
        return torch.cat([self.pos_masks, self.neg_masks])
