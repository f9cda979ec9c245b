"""Assignment by overlap (Faster R-CNN, https://arxiv.org/abs/1506.01497, section 3.1.2)."""

from typing import Any

import torch
from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult, labels_of
from mmdet.core.bbox.assigners.base_assigner import IOU_CALCULATOR, BaseAssigner
from mmdet.core.bbox.assigners.blockwise import LEAST_PAIRS, best_overlaps, ranks_of_best_boxes
from mmdet.core.bbox.builder import BBOX_ASSIGNERS
from mmdet.core.bbox.iou_calculators.builder import build_iou_calculator
from mmdet.core.bbox.iou_calculators.iou2d_calculator import BboxOverlaps2D


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


class IoUThresholds(BaseAssigner):
    """What assigners by overlap are built from; see :class:`MaxIoUAssigner` for the arguments."""

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


@BBOX_ASSIGNERS.register_module()
class MaxIoUAssigner(IoUThresholds):
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
        ignore_iof_thr: boxes that lie with more than this fraction in an ignored region are left out; <= 0: no box is.
        ignore_wrt_candidates: that fraction is one of the box's area (True) or of the ignored region's.
        match_low_quality: see above; the second stage goes without.
        gpu_assign_thr: with more ground truths than this the work is done on the CPU, to save device memory;
            <= 0: never.
        iou_calculator: config of the overlap.
    """

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
        device = bboxes.device  # the result goes back there, wherever the work is done
        bboxes, gt_bboxes, gt_bboxes_ignore, gt_labels = self.to_working_device(
            len(gt_bboxes), bboxes[:, :4], gt_bboxes, gt_bboxes_ignore, gt_labels
        )
        if self._goes_by_blocks(gt_bboxes, bboxes):
            return self._assign_by_blocks(bboxes, gt_bboxes, gt_bboxes_ignore, gt_labels, device)
        overlaps = self.iou_calculator(gt_bboxes, bboxes)
        return self.assign_or_ignore(overlaps, bboxes, gt_bboxes_ignore, gt_labels, device)

    def _goes_by_blocks(self, gt_bboxes: Tensor, bboxes: Tensor) -> bool:
        """Whether many pairs of plain overlaps are to be found on the CPU, and no subclass wants to see the matrix."""
        plain = type(self.iou_calculator) is BboxOverlaps2D and self.iou_calculator.dtype is None
        steps = ('assign_or_ignore', 'assign_wrt_overlaps', 'match')
        own = all(getattr(type(self), name) is getattr(MaxIoUAssigner, name) for name in steps)
        full = bboxes.dtype == gt_bboxes.dtype and bboxes.dtype in (torch.float32, torch.float64)
        many = len(gt_bboxes) * len(bboxes) >= LEAST_PAIRS
        return plain and own and full and many and bboxes.device.type == 'cpu'

    def _assign_by_blocks(
        self,
        bboxes: Tensor,
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None,
        gt_labels: Tensor | None,
        device: torch.device,
    ) -> AssignResult:
        """What :meth:`assign_or_ignore` gives, without the matrix of overlaps."""
        ignored, gt_bboxes = self.ignored_boxes(bboxes, gt_bboxes_ignore), gt_bboxes[:, :4]
        kept = bboxes if ignored is None else bboxes[~ignored]
        found = best_overlaps(gt_bboxes, kept, self.pos_iou_thr)
        forced = None
        if self.match_low_quality and len(kept):
            # by rank, so that of several ground truths that want one box the last one gets it
            ranks = torch.arange(1, len(gt_bboxes) + 1)
            ranks = torch.where(found.of_gt >= self.min_pos_iou, ranks, 0)
            forced = ranks_of_best_boxes(found, gt_bboxes, ranks, self.gt_max_assign_all)
        max_overlaps, gt_inds = found.of_box, self.decide(found.of_box, found.gt_of_box, forced)
        if ignored is not None:
            max_overlaps = max_overlaps.new_full(ignored.shape, -1).masked_scatter(~ignored, max_overlaps)
            gt_inds = gt_inds.new_full(ignored.shape, -1).masked_scatter(~ignored, gt_inds)
        labels = None if gt_labels is None else labels_of(gt_inds, gt_labels).to(device)
        return AssignResult(len(gt_bboxes), gt_inds.to(device), max_overlaps.to(device), labels)

    def to_working_device(self, num_gts: int, *tensors: Any) -> list[Any]:
        """The tensors (None stays None), on the CPU where there are too many ground truths for the device."""
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
            fractions = self.iou_calculator(bboxes, gt_bboxes_ignore, mode='iof').amax(dim=1)
        else:
            fractions = self.iou_calculator(gt_bboxes_ignore, bboxes, mode='iof').amax(dim=0)
        return fractions > self.ignore_iof_thr

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
        forced = None
        if self.match_low_quality:
            forced = low_quality_matches(overlaps, self.min_pos_iou, self.gt_max_assign_all)
        return max_overlaps, self.decide(max_overlaps, best_gt, forced)

    def decide(self, max_overlaps: Tensor, best_gt: Tensor, forced: Tensor | None) -> Tensor:
        """Numbers of the ground truth (n,) from 1, 0 or -1.

        Args:
            max_overlaps: (n,) greatest overlaps.
            best_gt: (n,) the ground truths that they are with, from 0.
            forced: (n,) ground truths that take a box however low its overlap, from 1; 0: none. None: none at all.
        """
        low, high = (0.0, self.neg_iou_thr) if isinstance(self.neg_iou_thr, float | int) else self.neg_iou_thr
        negative = (max_overlaps >= low) & (max_overlaps < high)
        gt_inds = negative.long() - 1
        gt_inds = torch.where(max_overlaps >= self.pos_iou_thr, best_gt + 1, gt_inds)
        return gt_inds if forced is None else torch.where(forced > 0, forced, gt_inds)
