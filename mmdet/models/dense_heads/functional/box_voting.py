"""Box voting: a detection's box is the mean of all boxes around it (https://arxiv.org/abs/1505.01749)."""

import torch
from torch import Tensor

from mmdet.core.bbox.iou_calculators.iou2d_calculator import bbox_overlaps

VOTING_IOU = 0.01  # boxes that overlap a detection less have no vote in it
VOTING_VARIANCE = 0.025


def vote(det_bboxes: Tensor, det_labels: Tensor, bboxes: Tensor, scores: Tensor, score_thr: float) -> Tensor:
    """Detections whose boxes are means of all boxes of their class around them.

    Args:
        det_bboxes: (k, 5) with scores.
        det_labels: (k,).
        bboxes: (n, 4) all boxes.
        scores: (n, K) of each box and class.
        score_thr: pairs with lower scores have no vote.

    Returns:
        (k, 5), with the scores of the detections.
    """
    rows, labels = (scores > score_thr).nonzero(as_tuple=True)
    candidates = bboxes[rows]
    ious = bbox_overlaps(det_bboxes[:, :4], candidates)
    votes = (-(1 - ious).square() / VOTING_VARIANCE).exp() * scores[rows, labels]
    votes = votes * ((ious > VOTING_IOU) & (det_labels[:, None] == labels))
    return torch.cat([votes @ candidates / votes.sum(1, keepdim=True), det_bboxes[:, 4:]], dim=1)
