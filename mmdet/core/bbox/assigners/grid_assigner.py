"""Assignment by overlap and by cell (YOLO, https://arxiv.org/abs/1804.02767)."""

import torch
from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult, labels_of
from mmdet.core.bbox.assigners.base_assigner import IOU_CALCULATOR, BaseAssigner
from mmdet.core.bbox.assigners.max_iou_assigner import low_quality_matches
from mmdet.core.bbox.builder import BBOX_ASSIGNERS
from mmdet.core.bbox.iou_calculators.builder import build_iou_calculator


@BBOX_ASSIGNERS.register_module()
class GridAssigner(BaseAssigner):
    """As :class:`MaxIoUAssigner`, but only boxes of cells that hold an object's centre can be positive.

    Args:
        pos_iou_thr: a positive's overlap is above this.
        neg_iou_thr: upper bound of a negative's overlap, included, or (lower bound, upper bound), only the upper one
            included.
        min_pos_iou: a ground truth whose best overlap is above this takes its best box.
        gt_max_assign_all: whether it takes all boxes of equally best overlap, or one of them.
        iou_calculator: config of the overlap.
    """

    def __init__(
        self,
        pos_iou_thr: float,
        neg_iou_thr: float | tuple[float, float],
        min_pos_iou: float = 0.0,
        gt_max_assign_all: bool = True,
        iou_calculator: dict = IOU_CALCULATOR,
    ) -> None:
        self.pos_iou_thr = pos_iou_thr
        self.neg_iou_thr = neg_iou_thr
        self.min_pos_iou = min_pos_iou
        self.gt_max_assign_all = gt_max_assign_all
        self.iou_calculator = build_iou_calculator(iou_calculator)

    def assign(
        self, bboxes: Tensor, box_responsible_flags: Tensor, gt_bboxes: Tensor, gt_labels: Tensor | None = None
    ) -> AssignResult:
        """Assign the boxes of one image.

        Args:
            bboxes: (n, 4) xyxy px.
            box_responsible_flags: (n,), true where the box's cell holds the centre of an object.
            gt_bboxes: (G, 4) xyxy px.
            gt_labels: (G,) long.

        Returns:
            Result of n boxes; overlaps of boxes that are not responsible are -1.
        """
        overlaps = self.iou_calculator(gt_bboxes, bboxes)
        if 0 in overlaps.shape:
            max_overlaps = overlaps.new_zeros(len(bboxes))
            gt_inds = overlaps.new_zeros(len(bboxes), dtype=torch.long)
        else:
            max_overlaps, gt_inds = self.match(overlaps, box_responsible_flags.bool())
        labels = None if gt_labels is None else labels_of(gt_inds, gt_labels)
        return AssignResult(len(gt_bboxes), gt_inds, max_overlaps, labels)

    def match(self, overlaps: Tensor, responsible: Tensor) -> tuple[Tensor, Tensor]:
        """(G, n) overlaps and (n,) bool -> best overlaps (n,) and numbers of the ground truth (n,) from 1, 0 or -1."""
        max_overlaps = overlaps.amax(dim=0)
        if isinstance(self.neg_iou_thr, float | int):
            negative = (max_overlaps >= 0) & (max_overlaps <= self.neg_iou_thr)
        else:
            low, high = self.neg_iou_thr
            negative = (max_overlaps > low) & (max_overlaps <= high)
        # all boxes may be negatives, only those of the objects' cells positives: a box of another cell that overlaps
        # an object well is neither
        overlaps = overlaps.masked_fill(~responsible, -1)
        max_overlaps, best_gt = overlaps.max(dim=0)
        gt_inds = torch.where(negative, 0, -1)
        gt_inds = torch.where((max_overlaps > self.pos_iou_thr) & responsible, best_gt + 1, gt_inds)
        forced = low_quality_matches(overlaps, self.min_pos_iou, self.gt_max_assign_all, strict=True)
        return max_overlaps, torch.where((forced > 0) & responsible, forced, gt_inds)
