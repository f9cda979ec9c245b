"""What every sampler offers."""

from abc import ABCMeta, abstractmethod
from typing import Any

import torch
from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult
from mmdet.core.bbox.samplers.sampling_result import SamplingResult


def positives(assign_result: AssignResult) -> Tensor:
    """(k,) long: boxes that belong to a ground truth, ascending."""
    return assign_result.rows.positives


def negatives(assign_result: AssignResult) -> Tensor:
    """(k,) long: boxes that belong to the background, ascending."""
    return assign_result.rows.negatives


class BaseSampler(metaclass=ABCMeta):
    """Picks the boxes of one image that enter the loss.

    Args:
        num: boxes in all.
        pos_fraction: largest fraction of positives.
        neg_pos_ub: most negatives for each positive (at least one positive is counted); negative: no bound.
        add_gt_as_proposals: whether the ground truth boxes join the others, as positives.
    """

    def __init__(
        self, num: int, pos_fraction: float, neg_pos_ub: float = -1, add_gt_as_proposals: bool = True, **kwargs: Any
    ) -> None:
        self.num = num
        self.pos_fraction = pos_fraction
        self.neg_pos_ub = neg_pos_ub
        self.add_gt_as_proposals = add_gt_as_proposals
        self.pos_sampler = self  # who picks; CombinedSampler has two others
        self.neg_sampler = self

    @abstractmethod
    def _sample_pos(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> Tensor:
        """At most ``num_expected`` indices of positives, each once, in any order."""

    @abstractmethod
    def _sample_neg(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> Tensor:
        """At most ``num_expected`` indices of negatives, each once, in any order."""

    def sample(
        self,
        assign_result: AssignResult,
        bboxes: Tensor,
        gt_bboxes: Tensor,
        gt_labels: Tensor | None = None,
        **kwargs: Any,
    ) -> SamplingResult:
        """Pick boxes of one image.

        Args:
            assign_result: of the boxes; where ground truth is added, it is extended in place.
            bboxes: (n, 4 or more) xyxy px; further columns are left out.
            gt_bboxes: (G, 4) xyxy px.
            gt_labels: (G,) long.
            **kwargs: what the kind of sampler needs: ``feats`` for the mining ones, ``img_metas`` (the dict of this
                one image) for those that read it.

        Returns:
            Result with indices in ascending order; where ground truth is added, box i has index G + i.

        Raises:
            ValueError: ground truth boxes are to be added, but have no labels.
        """
        bboxes, gt_flags = self.candidates(assign_result, bboxes, gt_bboxes, gt_labels)
        kwargs['bboxes'] = bboxes
        num_pos = int(self.num * self.pos_fraction)
        pos_inds = self._sample_pos(assign_result, num_pos, **kwargs).sort().values
        num_neg = self.num_expected_negatives(len(pos_inds))
        neg_inds = self._sample_neg(assign_result, num_neg, **kwargs).sort().values
        return SamplingResult(pos_inds, neg_inds, bboxes, gt_bboxes, assign_result, gt_flags)

    def candidates(
        self, assign_result: AssignResult, bboxes: Tensor, gt_bboxes: Tensor, gt_labels: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Boxes to choose from (n, 4), and (n,) uint8 flags of those that are ground truth."""
        bboxes = bboxes.reshape(-1, bboxes.size(-1))[:, :4]
        gt_flags = torch.zeros(len(bboxes), dtype=torch.uint8, device=bboxes.device)
        if not self.add_gt_as_proposals or not len(gt_bboxes):
            return bboxes, gt_flags
        if gt_labels is None:
            raise ValueError('gt_labels must be given where add_gt_as_proposals is True')
        assign_result.add_gt_(gt_labels)
        return torch.cat([gt_bboxes, bboxes]), torch.cat([gt_flags.new_ones(len(gt_bboxes)), gt_flags])

    def num_expected_negatives(self, num_pos: int) -> int:
        """Most negatives beside ``num_pos`` positives."""
        num_neg = self.num - num_pos
        return num_neg if self.neg_pos_ub < 0 else min(num_neg, int(self.neg_pos_ub * max(1, num_pos)))
