"""Assignment with an overlap threshold of each object's own (ATSS, https://arxiv.org/abs/1912.02424)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult, labels_of
from mmdet.core.bbox.assigners.base_assigner import IOU_CALCULATOR, BaseAssigner
from mmdet.core.bbox.assigners.center_prior import centers_of, depth_inside, resolve_by_overlap, rows_to_mask
from mmdet.core.bbox.builder import BBOX_ASSIGNERS
from mmdet.core.bbox.iou_calculators.builder import build_iou_calculator

MIN_DEPTH = 0.01  # px that a positive's centre lies inside its ground truth at least


def nearest_of_each_level(distances: Tensor, num_level_bboxes: Sequence[int], topk: int) -> Tensor:
    """(n, G) distances, level after level -> (k, G) long: rows of the ``topk`` nearest boxes of each level."""
    rows, start = [], 0
    for level in distances.split(list(num_level_bboxes)):
        rows.append(level.topk(min(topk, len(level)), dim=0, largest=False).indices + start)
        start += len(level)
    return torch.cat(rows)


@BBOX_ASSIGNERS.register_module()
class ATSSAssigner(BaseAssigner):
    """Each ground truth takes those of its nearest boxes whose overlap is above their mean plus standard deviation.

    Args:
        topk: so many of the nearest boxes of each level are candidates.
        alpha: weight of the overlap against that of the class score (DDOD, https://arxiv.org/abs/2107.02963), which
            then both come from the predictions; None: overlap of the boxes alone.
        iou_calculator: config of the overlap.
        ignore_iof_thr: boxes that lie with more than this fraction of their area in an ignored region are left out;
            <= 0: no box is.
    """

    def __init__(
        self,
        topk: int,
        alpha: float | None = None,
        iou_calculator: dict = IOU_CALCULATOR,
        ignore_iof_thr: float = -1,
    ) -> None:
        self.topk = topk
        self.alpha = alpha
        self.iou_calculator = build_iou_calculator(iou_calculator)
        self.ignore_iof_thr = ignore_iof_thr

    def assign(
        self,
        bboxes: Tensor,
        num_level_bboxes: Sequence[int],
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None = None,
        gt_labels: Tensor | None = None,
        cls_scores: Tensor | None = None,
        bbox_preds: Tensor | None = None,
    ) -> AssignResult:
        """Assign the boxes of one image.

        Args:
            bboxes: (n, 4) xyxy px, level after level; further columns are left out.
            num_level_bboxes: boxes of each level.
            gt_bboxes: (G, 4) xyxy px.
            gt_bboxes_ignore: (I, 4) xyxy px of regions without annotation.
            gt_labels: (G,) long.
            cls_scores: (n, K) logits; needed with ``alpha``.
            bbox_preds: (n, 4) xyxy px, decoded; needed with ``alpha``.

        Returns:
            Result of n boxes; the overlap is -1e8 for boxes that no ground truth takes.
        """
        bboxes = bboxes[:, :4]
        num_gts = len(gt_bboxes)
        ignored = self.ignored_boxes(bboxes, gt_bboxes_ignore)
        if num_gts == 0 or len(bboxes) == 0:
            max_overlaps, gt_inds = bboxes.new_zeros(len(bboxes)), bboxes.new_zeros(len(bboxes), dtype=torch.long)
        else:
            overlaps = self.quality(bboxes, gt_bboxes, gt_labels, cls_scores, bbox_preds)
            centers = centers_of(bboxes)
            distances = (centers[:, None] - centers_of(gt_bboxes)).pow(2).sum(dim=-1).sqrt()
            rows = nearest_of_each_level(
                # an ignored square must not use up one of the topk places of its level
                distances.masked_fill(ignored[:, None], torch.inf),
                num_level_bboxes,
                self.topk,
            )
            candidate_overlaps = overlaps.gather(0, rows)
            # high where one level fits an object much better than the others, low where several fit alike
            threshold = candidate_overlaps.mean(dim=0) + candidate_overlaps.std(dim=0)
            candidates = rows_to_mask(rows, len(bboxes)) & (overlaps >= threshold)
            candidates &= (depth_inside(centers, gt_bboxes) > MIN_DEPTH) & ~ignored[:, None]
            max_overlaps, gt_inds = resolve_by_overlap(candidates, overlaps)
            gt_inds = gt_inds.masked_fill(ignored, -1)
        labels = None if gt_labels is None else labels_of(gt_inds, gt_labels)
        return AssignResult(num_gts, gt_inds, max_overlaps, labels)

    def quality(
        self,
        bboxes: Tensor,
        gt_bboxes: Tensor,
        gt_labels: Tensor | None,
        cls_scores: Tensor | None,
        bbox_preds: Tensor | None,
    ) -> Tensor:
        """(n, G) overlaps, or their geometric mean with the class scores.

        Raises:
            ValueError: ``alpha`` is given, but something that it needs is not.
        """
        if self.alpha is None:
            return self.iou_calculator(bboxes, gt_bboxes)
        if cls_scores is None or bbox_preds is None or gt_labels is None:
            raise ValueError('ATSSAssigner with alpha needs cls_scores, bbox_preds and gt_labels')
        # assignment is no path for gradients
        scores = cls_scores.detach().sigmoid()[:, gt_labels]
        return scores ** (1 - self.alpha) * self.iou_calculator(bbox_preds.detach(), gt_bboxes) ** self.alpha

    def ignored_boxes(self, bboxes: Tensor, gt_bboxes_ignore: Tensor | None) -> Tensor:
        """(n,) bool: boxes that lie in ignored regions."""
        if self.ignore_iof_thr <= 0 or gt_bboxes_ignore is None or not len(gt_bboxes_ignore):
            return torch.zeros(len(bboxes), dtype=torch.bool, device=bboxes.device)
        return self.iou_calculator(bboxes, gt_bboxes_ignore, mode='iof').amax(dim=1) > self.ignore_iof_thr
