"""Assignment by overlap, for a whole batch at once and with shapes that do not depend on its content."""

import torch
from torch import Tensor

from mmdet.core.bbox.assigners.ascend_assign_result import AscendAssignResult
from mmdet.core.bbox.assigners.max_iou_assigner import IoUThresholds
from mmdet.core.bbox.builder import BBOX_ASSIGNERS


@BBOX_ASSIGNERS.register_module()
class AscendMaxIoUAssigner(IoUThresholds):
    """:class:`MaxIoUAssigner` for batches of padded ground truth, as accelerators with fixed shapes want it.

    Args:
        pos_iou_thr: least overlap of a positive.
        neg_iou_thr: upper bound of a negative's overlap, or (lower bound, upper bound).
        min_pos_iou: least overlap with which a ground truth takes its best box; overlaps of 0 never do.
        gt_max_assign_all: whether a ground truth takes all boxes of equally best overlap, or one of them.
        ignore_iof_thr: not used; ignored boxes come as a mask.
        ignore_wrt_candidates: not used.
        match_low_quality: whether ground truths take their best boxes.
        gpu_assign_thr: not used.
        iou_calculator: config of the overlap.
    """

    def assign(
        self,
        batch_bboxes: Tensor,
        batch_gt_bboxes: Tensor,
        batch_gt_bboxes_ignore: None = None,
        batch_gt_labels: Tensor | None = None,
        batch_bboxes_ignore_mask: Tensor | None = None,
        batch_num_gts: Tensor | None = None,
    ) -> AscendAssignResult:
        """Assign the boxes of N images.

        Args:
            batch_bboxes: (N, n, 4) xyxy px.
            batch_gt_bboxes: (N, G, 4) xyxy px, G > 0, padded with boxes that overlap nothing.
            batch_gt_bboxes_ignore: not used.
            batch_gt_labels: (N, G) long.
            batch_bboxes_ignore_mask: (N, n); zero for boxes that are left out.
            batch_num_gts: (N,) long, ground truths without padding.
        """
        overlaps = self.iou_calculator(batch_gt_bboxes, batch_bboxes)
        if batch_bboxes_ignore_mask is not None:
            overlaps = overlaps.masked_fill(~batch_bboxes_ignore_mask.bool()[:, None], -1)
        return self.batch_assign_wrt_overlaps(overlaps, batch_gt_labels, batch_num_gts)

    def batch_assign_wrt_overlaps(
        self, batch_overlaps: Tensor, batch_gt_labels: Tensor | None = None, batch_num_gts: Tensor | None = None
    ) -> AscendAssignResult:
        """Assign by given overlaps (N, G, n); masks of the result are int32."""
        max_overlaps, best_gt = batch_overlaps.max(dim=1)  # (N, n)
        low, high = (0.0, self.neg_iou_thr) if isinstance(self.neg_iou_thr, float | int) else self.neg_iou_thr
        negative = (max_overlaps >= low) & (max_overlaps < high)
        positive = max_overlaps >= self.pos_iou_thr
        if self.match_low_quality:
            forced = self.low_quality_matches(batch_overlaps)
            positive = positive | (forced > 0)
            best_gt = torch.where(forced > 0, forced - 1, best_gt)
        labels = None if batch_gt_labels is None else batch_gt_labels.gather(1, best_gt)
        return AscendAssignResult(
            batch_num_gts, positive.int(), (negative & ~positive).int(), max_overlaps, best_gt, labels
        )

    def low_quality_matches(self, batch_overlaps: Tensor) -> Tensor:
        """(N, G, n) overlaps -> (N, n) long: the last ground truth, from 1, whose best box this is; 0 for others."""
        best, best_box = batch_overlaps.max(dim=2, keepdim=True)  # (N, G, 1)
        if self.gt_max_assign_all:
            matches = batch_overlaps == best
        else:
            matches = torch.zeros_like(batch_overlaps, dtype=torch.bool).scatter(2, best_box, True)
        matches = matches & (best >= self.min_pos_iou) & (best > 0)
        ranks = torch.arange(1, batch_overlaps.size(1) + 1, device=batch_overlaps.device)
        return (matches * ranks[:, None]).amax(dim=1)
