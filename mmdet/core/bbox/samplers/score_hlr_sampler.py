"""Sampling of negatives by rank of their scores (PISA, https://arxiv.org/abs/1904.04821, section 4.2)."""

from typing import Any

import torch
from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult
from mmdet.core.bbox.builder import BBOX_SAMPLERS
from mmdet.core.bbox.samplers.base_sampler import BaseSampler, negatives, positives
from mmdet.core.bbox.samplers.choice import at_most, random_choice
from mmdet.core.bbox.samplers.ohem_sampler import forward_boxes, losses_each, of_stage
from mmdet.core.bbox.samplers.sampling_result import SamplingResult
from mmdet.core.img_meta import ImgMeta
from mmdet.ops import nms_match


def hierarchical_rank(scores: Tensor, boxes: Tensor, iou_thr: float) -> Tensor:
    """Rank (n,) long of boxes, best 0: first those that lead their group of overlapping boxes, then the second ...

    Args:
        scores: (n,) in [0, 1]; they order the boxes of equal place in their groups.
        boxes: (n, 4) xyxy px.
        iou_thr: overlap that makes a group.
    """
    groups = nms_match(torch.cat([boxes, scores[:, None]], dim=1), iou_thr)  # best score first in each group
    inds, places = torch.cat(groups), torch.cat([torch.arange(len(group), device=scores.device) for group in groups])
    importance = torch.empty_like(scores)
    # a step of the place is 1 and a score at most 1: the place decides, and the score among equal places
    importance[inds] = len(scores) - places + scores[inds]
    return importance.argsort(descending=True).argsort()


def rank_weights(ranks: Tensor, num_scored: int, num: int, bias: float, k: float) -> Tensor:
    """(num,) weights, before they are brought to the size of the loss.

    Args:
        ranks: (m,) long, m <= num, of the picked boxes with a score; the other num - m weigh as the last of them.
        num_scored: boxes with a score, picked or not.
        num: picked boxes.
        bias: see :class:`ScoreHLRSampler`.
        k: see there.
    """
    # ranks reach up to the number of scored boxes: the worst still weighs more than 0
    upper = max(num, num_scored)
    weights = (upper - ranks.float()) / upper
    weights = torch.cat([weights, weights.min().expand(num - len(weights))])
    return (bias + (1 - bias) * weights).pow(k)


@BBOX_SAMPLERS.register_module()
class ScoreHLRSampler(BaseSampler):
    """Random positives; negatives by score, weighted by their hierarchical local rank.

    Args:
        num, pos_fraction, neg_pos_ub, add_gt_as_proposals: see :class:`BaseSampler`.
        context: the RoI head that is asked for scores, boxes and losses.
        k: exponent of the weights; 0 weighs all alike.
        bias: least weight, in [0, 1].
        score_thr: negatives with a lower score are only picked, at random, where the others do not suffice.
        iou_thr: overlap of decoded boxes that makes a group in which they are ranked.
    """

    def __init__(
        self,
        num: int,
        pos_fraction: float,
        context: Any,
        neg_pos_ub: float = -1,
        add_gt_as_proposals: bool = True,
        k: float = 0.5,
        bias: float = 0,
        score_thr: float = 0.05,
        iou_thr: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(num, pos_fraction, neg_pos_ub, add_gt_as_proposals)
        self.context = context
        self.bbox_head = of_stage(context, 'bbox_head')
        self.bbox_roi_extractor = of_stage(context, 'bbox_roi_extractor')
        self.with_shared_head = context.with_shared_head
        if self.with_shared_head:
            self.shared_head = context.shared_head
        self.k = k
        self.bias = bias
        self.score_thr = score_thr
        self.iou_thr = iou_thr

    @staticmethod
    def random_choice(gallery: Tensor, num: int) -> Tensor:
        """``num`` different elements of ``gallery`` (n,), in random order."""
        return random_choice(gallery, num)

    def _sample_pos(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> Tensor:
        return at_most(positives(assign_result), num_expected)

    @torch.no_grad()
    def _sample_neg(
        self,
        assign_result: AssignResult,
        num_expected: int,
        bboxes: Tensor,
        feats: list[Tensor] | None = None,
        img_meta: ImgMeta | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor]:
        """Indices (m,) of negatives, and their weights (m,), which leave the sum of the losses as it is."""
        inds = negatives(assign_result)
        num_expected = min(len(inds), num_expected)
        if num_expected <= 0:
            return inds[:0], bboxes.new_zeros(0)
        rois, results = forward_boxes(self.context, feats, bboxes[inds])
        cls_score = results['cls_score']
        scores, classes = cls_score.softmax(dim=-1)[:, :-1].max(dim=-1)
        scored = scores > self.score_thr
        scored_inds, other_inds = scored.nonzero()[:, 0], (~scored).nonzero()[:, 0]
        if not len(scored_inds):
            return inds[random_choice(other_inds, num_expected)], bboxes.new_ones(num_expected)
        boxes = self.decode(rois[scored_inds, 1:], results['bbox_pred'][scored_inds], classes[scored_inds])
        ranks = hierarchical_rank(scores[scored_inds], boxes, self.iou_thr)
        best = ranks.argsort()[:num_expected]
        picked = torch.cat([scored_inds[best], random_choice(other_inds, num_expected - len(best))])
        weights = rank_weights(ranks[best], len(scored_inds), num_expected, self.bias, self.k)
        background = torch.full_like(inds, self.bbox_head.num_classes)
        losses = losses_each(self.bbox_head, cls_score, rois, background, 'loss_cls')[picked]
        # their loss stays as large as it was without weights, so that positives do not count for less
        return inds[picked], weights * (losses.sum() / (losses * weights).sum())

    def decode(self, boxes: Tensor, bbox_pred: Tensor, classes: Tensor) -> Tensor:
        """(n, 4) boxes that the head predicts from ``boxes`` (n, 4) for one class (n,) each."""
        deltas = bbox_pred.reshape(len(boxes), -1, 4)
        column = classes if deltas.size(1) > 1 else torch.zeros_like(classes)  # one box for all classes
        picked = deltas[torch.arange(len(boxes), device=boxes.device), column]
        return self.bbox_head.bbox_coder.decode(boxes, picked)

    def sample(
        self,
        assign_result: AssignResult,
        bboxes: Tensor,
        gt_bboxes: Tensor,
        gt_labels: Tensor | None = None,
        img_meta: ImgMeta | None = None,
        **kwargs: Any,
    ) -> tuple[SamplingResult, Tensor]:
        """Pick boxes of one image, as :meth:`BaseSampler.sample` does.

        Returns:
            The result, and the weights (M,) of its negatives.
        """
        bboxes, gt_flags = self.candidates(assign_result, bboxes, gt_bboxes, gt_labels)
        kwargs.update(bboxes=bboxes, img_meta=img_meta)
        num_pos = int(self.num * self.pos_fraction)
        pos_inds = self._sample_pos(assign_result, num_pos, **kwargs).sort().values
        num_neg = self.num_expected_negatives(len(pos_inds))
        neg_inds, weights = self._sample_neg(assign_result, num_neg, **kwargs)
        return SamplingResult(pos_inds, neg_inds, bboxes, gt_bboxes, assign_result, gt_flags), weights
