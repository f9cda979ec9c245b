"""Assignment of as many anchors to each object (YOLOF, https://arxiv.org/abs/2103.09460)."""

import torch
from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult, labels_of
from mmdet.core.bbox.assigners.base_assigner import IOU_CALCULATOR, BaseAssigner
from mmdet.core.bbox.builder import BBOX_ASSIGNERS
from mmdet.core.bbox.iou_calculators.builder import build_iou_calculator
from mmdet.core.bbox.transforms import bbox_xyxy_to_cxcywh


def nearest_boxes(boxes: Tensor, gt_bboxes: Tensor, count: int) -> Tensor:
    """(k, G) long: rows of the ``count`` boxes (n, 4) nearest to each of (G, 4), by L1 of centre and size."""
    distances = torch.cdist(bbox_xyxy_to_cxcywh(boxes), bbox_xyxy_to_cxcywh(gt_bboxes), p=1)
    return distances.topk(min(count, len(boxes)), dim=0, largest=False).indices


@BBOX_ASSIGNERS.register_module()
class UniformAssigner(BaseAssigner):
    """Each ground truth takes its nearest predictions and its nearest anchors.

    Args:
        pos_ignore_thr: taken anchors that overlap the object less are left out.
        neg_ignore_thr: other anchors whose prediction overlaps an object more are left out.
        match_times: so many predictions and so many anchors are taken.
        iou_calculator: config of the overlap.
    """

    def __init__(
        self,
        pos_ignore_thr: float,
        neg_ignore_thr: float,
        match_times: int = 4,
        iou_calculator: dict = IOU_CALCULATOR,
    ) -> None:
        self.pos_ignore_thr = pos_ignore_thr
        self.neg_ignore_thr = neg_ignore_thr
        self.match_times = match_times
        self.iou_calculator = build_iou_calculator(iou_calculator)

    def assign(
        self,
        bbox_pred: Tensor,
        anchor: Tensor,
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None = None,
        gt_labels: Tensor | None = None,
    ) -> AssignResult:
        """Assign the anchors of one image.

        Args:
            bbox_pred: (n, 4) predicted boxes, xyxy px; the gradient is kept in ``pos_predicted_boxes``.
            anchor: (n, 4) xyxy px.
            gt_bboxes: (G, 4) xyxy px.
            gt_bboxes_ignore: not used.
            gt_labels: (G,) long.

        Returns:
            Result of n anchors, whose overlaps are (G,): each object's best. It has the extra properties ``pos_idx``
            (m,) bool: whether a match counts, ``pos_predicted_boxes`` (m, 4) and ``target_boxes`` (m, 4), m matches.
            An anchor that several matches take goes to the last of them.
        """
        num_gts, num_bboxes = len(gt_bboxes), len(bbox_pred)
        if num_gts == 0 or num_bboxes == 0:
            gt_inds, max_overlaps = bbox_pred.new_zeros(num_bboxes, dtype=torch.long), None
            rows = gts = gt_inds[:0]
            counts = rows.bool()
        else:
            overlaps = self.iou_calculator(anchor, gt_bboxes)
            max_overlaps = overlaps.amax(dim=0)
            rows, gts = self.matches(bbox_pred.detach(), anchor, gt_bboxes)
            # every object takes as many anchors, however far they are: a far one would be taught what it is not at
            counts = overlaps[rows, gts] >= self.pos_ignore_thr
            # where a prediction has found an object already it must not learn that there is none
            near = self.iou_calculator(bbox_pred.detach(), gt_bboxes).amax(dim=1) > self.neg_ignore_thr
            gt_inds = last_match(rows, torch.where(counts, gts + 1, -1), torch.where(near, -1, 0))
        labels = None if gt_labels is None else labels_of(gt_inds, gt_labels)
        result = AssignResult(num_gts, gt_inds, max_overlaps, labels)
        result.set_extra_property('pos_idx', counts)
        result.set_extra_property('pos_predicted_boxes', bbox_pred[rows])
        result.set_extra_property('target_boxes', gt_bboxes[gts])
        return result

    def matches(self, bbox_pred: Tensor, anchor: Tensor, gt_bboxes: Tensor) -> tuple[Tensor, Tensor]:
        """Rows (m,) of the anchors that are taken and of the ground truths (m,) that take them."""
        # by predictions, which follow what is learnt, and by anchors, as predictions are arbitrary at first
        rows = torch.cat([nearest_boxes(boxes, gt_bboxes, self.match_times) for boxes in (bbox_pred, anchor)], dim=1)
        gts = torch.arange(len(gt_bboxes), device=rows.device).repeat(rows.size(0) * 2)
        return rows.reshape(-1), gts


def last_match(rows: Tensor, values: Tensor, others: Tensor) -> Tensor:
    """(n,) ``others``, with ``values`` (m,) written to ``rows`` (m,); of several to one row the last one stays."""
    places = torch.arange(1, len(rows) + 1, device=rows.device)
    last = torch.zeros_like(others).scatter_reduce(0, rows, places, 'amax')
    return torch.where(last > 0, values[(last - 1).clamp(min=0)], others)
