"""Assignment by how well score and box agree with the object (TOOD, https://arxiv.org/abs/2108.07755)."""

import torch
from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult, labels_of
from mmdet.core.bbox.assigners.base_assigner import IOU_CALCULATOR, BaseAssigner
from mmdet.core.bbox.assigners.center_prior import centers_of, depth_inside, resolve_by_overlap, rows_to_mask
from mmdet.core.bbox.builder import BBOX_ASSIGNERS
from mmdet.core.bbox.iou_calculators.builder import build_iou_calculator

MIN_DEPTH = 0.01  # px that a positive's centre lies inside its ground truth at least


@BBOX_ASSIGNERS.register_module()
class TaskAlignedAssigner(BaseAssigner):
    """Each ground truth takes the boxes of the best alignment ``score^alpha * overlap^beta``.

    Args:
        topk: boxes that each ground truth takes.
        iou_calculator: config of the overlap.

    Raises:
        ValueError: ``topk`` is less than 1.
    """

    def __init__(self, topk: int, iou_calculator: dict = IOU_CALCULATOR) -> None:
        if topk < 1:
            raise ValueError(f'topk must be at least 1, got {topk}')
        self.topk = topk
        self.iou_calculator = build_iou_calculator(iou_calculator)

    @torch.no_grad()
    def assign(
        self,
        pred_scores: Tensor,
        decode_bboxes: Tensor,
        anchors: Tensor,
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None = None,
        gt_labels: Tensor | None = None,
        alpha: float = 1,
        beta: float = 6,
    ) -> AssignResult:
        """Assign the boxes of one image.

        Args:
            pred_scores: (n, K) in [0, 1].
            decode_bboxes: (n, 4) predicted boxes, xyxy px.
            anchors: (n, 4) xyxy px; a positive's centre lies in its ground truth.
            gt_bboxes: (G, 4) xyxy px.
            gt_bboxes_ignore: not used.
            gt_labels: (G,) long; needed where there is ground truth.
            alpha: exponent of the score.
            beta: exponent of the overlap.

        Returns:
            Result of n boxes, with ``assign_metrics`` (n,): the alignment of the positives, 0 for others. The overlap
            is -1e8 for boxes that no ground truth takes.
        """
        num_bboxes, num_gts = len(anchors), len(gt_bboxes)
        if num_gts == 0 or num_bboxes == 0:
            max_overlaps = metrics = anchors.new_zeros(num_bboxes)
            gt_inds = anchors.new_zeros(num_bboxes, dtype=torch.long)
        else:
            overlaps = self.iou_calculator(decode_bboxes, gt_bboxes)
            alignment = pred_scores[:, gt_labels] ** alpha * overlaps**beta
            rows = alignment.topk(min(self.topk, num_bboxes), dim=0).indices
            # topk fills up with alignments of 0 where an object has fewer candidates
            candidates = rows_to_mask(rows, num_bboxes) & (alignment > 0)
            # after topk and not before it: an object whose best boxes come from anchors outside of it has fewer
            # positives
            candidates &= depth_inside(centers_of(anchors), gt_bboxes) > MIN_DEPTH
            max_overlaps, gt_inds = resolve_by_overlap(candidates, overlaps)
            # clamped, as the row of a negative is looked up too and then multiplied by 0
            chosen = alignment.gather(1, (gt_inds - 1).clamp(min=0)[:, None])[:, 0]
            metrics = chosen * (gt_inds > 0)
        labels = None if gt_labels is None else labels_of(gt_inds, gt_labels)
        result = AssignResult(num_gts, gt_inds, max_overlaps, labels)
        result.assign_metrics = metrics
        return result
