"""Assignment by overlap (Faster R-CNN, https://arxiv.org/abs/1506.01497, section 3.1.2)."""

import torch
from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult, labels_of
from mmdet.core.bbox.assigners.base_assigner import IOU_CALCULATOR, BaseAssigner
from mmdet.core.bbox.builder import BBOX_ASSIGNERS
from mmdet.core.bbox.iou_calculators.builder import build_iou_calculator


def low_quality_matches(overlaps: Tensor, min_pos_iou: float, assign_all: bool, strict: bool = False) -> Tensor:
    """Boxes that are the best ones of some ground truth, however low their overlap.

    Args:
        overlaps: (G, n), G and n > 0.
        min_pos_iou: a ground truth whose best overlap is below this gets none.
        assign_all: take all boxes of equally best overlap, or the first one only.
        strict: whether a best overlap of just ``min_pos_iou`` is too little already.

    Returns:
        (n,) long: number of the ground truth, from 1; the last one where a box is the best of several; 0 for others.
    """
    best, best_box = overlaps.max(dim=1)
    ranks = torch.arange(1, len(overlaps) + 1, device=overlaps.device)
    ranks = torch.where(best > min_pos_iou if strict else best >= min_pos_iou, ranks, 0)
    if assign_all:
        is_best = overlaps == best[:, None]
        return torch.where(is_best, ranks.int()[:, None], 0).amax(dim=0).long()
    return ranks.new_zeros(overlaps.size(1)).scatter_reduce(0, best_box, ranks, 'amax')


@BBOX_ASSIGNERS.register_module()
class MaxIoUAssigner(BaseAssigner):
    """Gives each box the ground truth that it overlaps most, the background, or neither.

    A box whose best overlap is at least ``pos_iou_thr`` is positive, one below ``neg_iou_thr`` is negative, and the
    others are left out. Then each ground truth takes its best box or boxes too (``match_low_quality``); where two
    ground truths want one box, the last one gets it.

    Args:
        pos_iou_thr: least overlap of a positive.
        neg_iou_thr: upper bound of a negative's overlap, or (lower bound, upper bound).
        min_pos_iou: least overlap with which a ground truth takes its best box. With 0, a ground truth that overlaps
            nothing takes all boxes.
        gt_max_assign_all: whether a ground truth takes all boxes of equally best overlap, or one of them.
        ignore_iof_thr: boxes that lie with more than this share in an ignored region are left out; <= 0: no box is.
        ignore_wrt_candidates: that share is one of the box's area (True) or of the ignored region's.
        match_low_quality: see above; the second stage goes without.
        gpu_assign_thr: with more ground truths than this the work is done on the CPU, to save device memory;
            <= 0: never.
        iou_calculator: config of the overlap.
    """

    def __init__(
        self,
        pos_iou_thr: float,
        neg_iou_thr: float | tuple[float, float],
        min_pos_iou: float = 0.0,
        gt_max_assign_all: bool = True,
        ignore_iof_thr: float = -1,
        ignore_wrt_candidates: bool = True,
        match_low_quality: bool = True,
        gpu_assign_thr: float = -1,
        iou_calculator: dict = IOU_CALCULATOR,
    ) -> None:
        self.pos_iou_thr = pos_iou_thr
        self.neg_iou_thr = neg_iou_thr
        self.min_pos_iou = min_pos_iou
        self.gt_max_assign_all = gt_max_assign_all
        self.ignore_iof_thr = ignore_iof_thr
        self.ignore_wrt_candidates = ignore_wrt_candidates
        self.match_low_quality = match_low_quality
        self.gpu_assign_thr = gpu_assign_thr
        self.iou_calculator = build_iou_calculator(iou_calculator)

    def assign(
        self,
        bboxes: Tensor,
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None = None,
        gt_labels: Tensor | None = None,
    ) -> AssignResult:
        """Assign the boxes of one image.

        Args:
            bboxes: (n, 4) xyxy px; further columns are left out.
            gt_bboxes: (G, 4) xyxy px.
            gt_bboxes_ignore: (I, 4) xyxy px of regions without annotation.
            gt_labels: (G,) long.

        Returns:
            Result of n boxes, on the device of ``bboxes``.
        """
        device = bboxes.device
        bboxes, gt_bboxes, gt_bboxes_ignore, gt_labels = self.to_working_device(
            len(gt_bboxes), bboxes[:, :4], gt_bboxes, gt_bboxes_ignore, gt_labels
        )
        overlaps = self.iou_calculator(gt_bboxes, bboxes)
        return self.assign_or_ignore(overlaps, bboxes, gt_bboxes_ignore, gt_labels, device)

    def to_working_device(self, num_gts: int, *tensors: Tensor | None) -> list[Tensor | None]:
        """The tensors, on the CPU where there are too many ground truths for the device."""
        if not 0 < self.gpu_assign_thr < num_gts:
            return list(tensors)
        return [None if tensor is None else tensor.cpu() for tensor in tensors]

    def assign_or_ignore(
        self,
        overlaps: Tensor,
        bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None,
        gt_labels: Tensor | None,
        device: torch.device,
    ) -> AssignResult:
        """Assign by overlaps (G, n), but leave boxes (n, 4) in ignored regions out; the result goes to ``device``."""
        ignored = self.ignored_boxes(bboxes, gt_bboxes_ignore)
        if ignored is not None:
            overlaps = overlaps.masked_fill(ignored, -1)
        result = self.assign_wrt_overlaps(overlaps, gt_labels)
        for name in ('gt_inds', 'max_overlaps', 'labels'):
            value = getattr(result, name)
            setattr(result, name, None if value is None else value.to(device))
        return result

    def ignored_boxes(self, bboxes: Tensor, gt_bboxes_ignore: Tensor | None) -> Tensor | None:
        """(n,) bool: boxes that lie in ignored regions; None where there is no such region."""
        if self.ignore_iof_thr <= 0 or gt_bboxes_ignore is None or not len(gt_bboxes_ignore) or not len(bboxes):
            return None
        if self.ignore_wrt_candidates:
            shares = self.iou_calculator(bboxes, gt_bboxes_ignore, mode='iof').amax(dim=1)
        else:
            shares = self.iou_calculator(gt_bboxes_ignore, bboxes, mode='iof').amax(dim=0)
        return shares > self.ignore_iof_thr

    def assign_wrt_overlaps(self, overlaps: Tensor, gt_labels: Tensor | None = None) -> AssignResult:
        """Assign by given overlaps.

        Args:
            overlaps: (G, n); a column of -1 leaves its box out.
            gt_labels: (G,) long.
        """
        num_gts, num_bboxes = overlaps.shape
        if num_gts == 0 or num_bboxes == 0:  # nothing to find: all background, in ignored regions too
            max_overlaps = overlaps.new_zeros(num_bboxes)
            gt_inds = overlaps.new_zeros(num_bboxes, dtype=torch.long)
        else:
            max_overlaps, gt_inds = self.match(overlaps)
        labels = None if gt_labels is None else labels_of(gt_inds, gt_labels)
        return AssignResult(num_gts, gt_inds, max_overlaps, labels)

    def match(self, overlaps: Tensor) -> tuple[Tensor, Tensor]:
        """(G, n) overlaps, G and n > 0 -> best overlaps (n,) and numbers of the ground truth (n,) from 1, 0 or -1."""
        max_overlaps, best_gt = overlaps.max(dim=0)
        low, high = (0.0, self.neg_iou_thr) if isinstance(self.neg_iou_thr, float | int) else self.neg_iou_thr
        negative = (max_overlaps >= low) & (max_overlaps < high)
        gt_inds = torch.where(negative, 0, -1)
        gt_inds = torch.where(max_overlaps >= self.pos_iou_thr, best_gt + 1, gt_inds)
        if self.match_low_quality:
            forced = low_quality_matches(overlaps, self.min_pos_iou, self.gt_max_assign_all)
            gt_inds = torch.where(forced > 0, forced, gt_inds)
        return max_overlaps, gt_inds


__all__ = ['MaxIoUAssigner', 'low_quality_matches']
