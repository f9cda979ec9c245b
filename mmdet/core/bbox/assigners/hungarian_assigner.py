"""One-to-one assignment at the least cost (DETR, https://arxiv.org/abs/2005.12872)."""

import numpy as np
import torch
from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult, Rows, labels_of
from mmdet.core.bbox.assigners.base_assigner import BaseAssigner
from mmdet.core.bbox.builder import BBOX_ASSIGNERS
from mmdet.core.bbox.match_costs.builder import build_match_cost
from mmdet.core.bbox.transforms import bbox_cxcywh_to_xyxy
from mmdet.core.img_meta import ImgMeta
from mmdet.utils.running.device_copy import tensor_like, to_device

# Defaults of the public signatures; never written to.
CLS_COST = dict(type='ClassificationCost', weight=1.0)
REG_COST = dict(type='BBoxL1Cost', weight=1.0)
IOU_COST = dict(type='IoUCost', iou_mode='giou', weight=1.0)


def match_at_least_cost(cost: Tensor) -> tuple[Tensor, Rows]:
    """Match predictions with ground truths by their costs (P, G).

    min(P, G) predictions are matched. The work is done on the CPU: one copy to it makes the host wait.

    Returns:
        (P,) long, number of the ground truth from 1 that the prediction is matched with, or 0; the rows that are
        matched and the others.
    """
    from scipy.optimize import linear_sum_assignment  # slow to import, and needed by this kind of detector only

    rows, columns = linear_sum_assignment(cost.detach().float().cpu().numpy())
    gt_inds = np.zeros(len(cost), dtype=np.int64)
    gt_inds[rows] = columns + 1
    order = np.concatenate([np.flatnonzero(gt_inds), np.flatnonzero(gt_inds == 0)])
    gt_inds, order = to_device(np.stack([gt_inds, order]), torch.long, cost.device)  # one copy for both
    return gt_inds, Rows(order[: len(rows)], order[len(rows) :])


def matched_result(cost: Tensor, gt_labels: Tensor) -> AssignResult:
    """Result of matching by costs (P, G)."""
    gt_inds, rows = match_at_least_cost(cost)
    result = AssignResult(cost.size(1), gt_inds, None, labels_of(gt_inds, gt_labels))
    result.rows = rows
    return result


def check_no_ignored(gt_bboxes_ignore: Tensor | None, name: str) -> None:
    """Check that no ignored regions are given to an assigner that does not know them.

    Raises:
        NotImplementedError: there are.
    """
    if gt_bboxes_ignore is not None:
        raise NotImplementedError(f'{name} knows no ignored regions; gt_bboxes_ignore must be None')


@BBOX_ASSIGNERS.register_module()
class HungarianAssigner(BaseAssigner):
    """Matches each ground truth with one prediction so that the sum of all costs is least.

    Args:
        cls_cost: config of the cost of class scores.
        reg_cost: config of the cost of normalised coordinates.
        iou_cost: config of the cost of overlaps in px.
    """

    def __init__(self, cls_cost: dict = CLS_COST, reg_cost: dict = REG_COST, iou_cost: dict = IOU_COST) -> None:
        self.cls_cost = build_match_cost(cls_cost)
        self.reg_cost = build_match_cost(reg_cost)
        self.iou_cost = build_match_cost(iou_cost)

    def assign(
        self,
        bbox_pred: Tensor,
        cls_pred: Tensor,
        gt_bboxes: Tensor,
        gt_labels: Tensor,
        img_meta: ImgMeta,
        gt_bboxes_ignore: None = None,
        eps: float = 1e-7,
    ) -> AssignResult:
        """Match the predictions of one image.

        Args:
            bbox_pred: (P, 4) centre x, centre y, w, h as fractions of the image.
            cls_pred: (P, K) logits.
            gt_bboxes: (G, 4) xyxy px.
            gt_labels: (G,) long.
            img_meta: its ``img_shape`` (h, w, c) is used.
            gt_bboxes_ignore: must be None.
            eps: not used.

        Returns:
            Result without overlaps; predictions that are not matched are background.

        Raises:
            NotImplementedError: there are ignored regions.
        """
        check_no_ignored(gt_bboxes_ignore, type(self).__name__)
        height, width = img_meta['img_shape'][:2]
        size = tensor_like([width, height, width, height], gt_bboxes)
        cost = (
            self.cls_cost(cls_pred, gt_labels)
            + self.reg_cost(bbox_pred, gt_bboxes / size)
            + self.iou_cost(bbox_cxcywh_to_xyxy(bbox_pred) * size, gt_bboxes)
        )
        return matched_result(cost, gt_labels)
