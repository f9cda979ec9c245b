"""Sampling of the hardest boxes (OHEM, https://arxiv.org/abs/1604.03540)."""

from typing import Any

import torch
from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult
from mmdet.core.bbox.builder import BBOX_SAMPLERS
from mmdet.core.bbox.samplers.base_sampler import BaseSampler, negatives, positives
from mmdet.core.bbox.transforms import bbox2roi


def forward_boxes(context: Any, feats: list[Tensor] | None, bboxes: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """RoIs (n, 5) of one image's boxes (n, 4), and what the RoI head ``context`` (its present stage) says of them.

    Raises:
        ValueError: ``feats`` is None.
    """
    if feats is None:
        raise ValueError(
            'a sampler that mines by loss needs the feature maps of the image: sampler.sample(..., feats=[x[i:i + 1] '
            'for x in feats])'
        )
    rois = bbox2roi([bboxes])
    stage = (context.current_stage,) if hasattr(context, 'num_stages') else ()
    return rois, context._bbox_forward(*stage, feats, rois)


def of_stage(context: Any, name: str) -> Any:
    """Part ``name`` of a RoI head; of its present stage where it has several."""
    part = getattr(context, name)
    return part[context.current_stage] if hasattr(context, 'num_stages') else part


def losses_each(bbox_head: Any, cls_score: Tensor, rois: Tensor, labels: Tensor, loss_key: str) -> Tensor:
    """(n,) classification losses of single boxes, neither weighted nor averaged."""
    losses = bbox_head.loss(
        cls_score=cls_score,
        bbox_pred=None,
        rois=rois,
        labels=labels,
        label_weights=cls_score.new_ones(len(cls_score)),
        bbox_targets=None,
        bbox_weights=None,
        reduction_override='none',
    )
    return losses[loss_key]


@BBOX_SAMPLERS.register_module()
class OHEMSampler(BaseSampler):
    """The positives and the negatives with the largest loss.

    Args:
        num, pos_fraction, neg_pos_ub, add_gt_as_proposals: see :class:`BaseSampler`.
        context: the RoI head that is asked for the losses.
        loss_key: which of its losses counts.
    """

    def __init__(
        self,
        num: int,
        pos_fraction: float,
        context: Any,
        neg_pos_ub: float = -1,
        add_gt_as_proposals: bool = True,
        loss_key: str = 'loss_cls',
        **kwargs: Any,
    ) -> None:
        super().__init__(num, pos_fraction, neg_pos_ub, add_gt_as_proposals)
        self.context = context
        self.bbox_head = of_stage(context, 'bbox_head')
        self.loss_key = loss_key

    @torch.no_grad()
    def hard_mining(
        self, inds: Tensor, num_expected: int, bboxes: Tensor, labels: Tensor, feats: list[Tensor] | None
    ) -> Tensor:
        """The ``num_expected`` of ``inds`` (n,) whose boxes (n, 4), labelled ``labels`` (n,), have the largest loss."""
        if num_expected <= 0:
            return inds[:0]
        rois, results = forward_boxes(self.context, feats, bboxes)
        losses = losses_each(self.bbox_head, results['cls_score'], rois, labels, self.loss_key)
        # the paper first suppresses RoIs that overlap, whose losses are counted twice; mmdetection 2.x does not, and
        # its numbers are kept
        return inds[losses.topk(num_expected).indices]

    def _sample_pos(
        self,
        assign_result: AssignResult,
        num_expected: int,
        bboxes: Tensor | None = None,
        feats: list[Tensor] | None = None,
        **kwargs: Any,
    ) -> Tensor:
        inds = positives(assign_result)
        if len(inds) <= num_expected:
            return inds
        assert bboxes is not None, 'BaseSampler.sample hands the boxes on'
        if assign_result.labels is None:
            raise ValueError('OHEMSampler needs the classes of the boxes: the assigner must be given gt_labels')
        return self.hard_mining(inds, num_expected, bboxes[inds], assign_result.labels[inds], feats)

    def _sample_neg(
        self,
        assign_result: AssignResult,
        num_expected: int,
        bboxes: Tensor | None = None,
        feats: list[Tensor] | None = None,
        **kwargs: Any,
    ) -> Tensor:
        inds = negatives(assign_result)
        if len(inds) <= num_expected:
            return inds
        assert bboxes is not None, 'BaseSampler.sample hands the boxes on'
        background = torch.full_like(inds, self.bbox_head.num_classes)
        return self.hard_mining(inds, num_expected, bboxes[inds], background, feats)
