"""From the scores of all boxes and classes to the detections of an image."""

from collections.abc import Mapping
from typing import Literal, overload

import torch
from torch import Tensor
from torchvision.ops import box_iou

from mmdet.ops.nms import batched_nms


@overload
def multiclass_nms(
    multi_bboxes: Tensor,
    multi_scores: Tensor,
    score_thr: float,
    nms_cfg: Mapping,
    max_num: int = -1,
    score_factors: Tensor | None = None,
    return_inds: Literal[False] = False,
) -> tuple[Tensor, Tensor]: ...


@overload
def multiclass_nms(
    multi_bboxes: Tensor,
    multi_scores: Tensor,
    score_thr: float,
    nms_cfg: Mapping,
    max_num: int = -1,
    score_factors: Tensor | None = None,
    *,
    return_inds: Literal[True],
) -> tuple[Tensor, Tensor, Tensor]: ...


def multiclass_nms(
    multi_bboxes: Tensor,
    multi_scores: Tensor,
    score_thr: float,
    nms_cfg: Mapping,
    max_num: int = -1,
    score_factors: Tensor | None = None,
    return_inds: bool = False,
) -> tuple[Tensor, Tensor] | tuple[Tensor, Tensor, Tensor]:
    """Suppression of overlapping boxes of the same class.

    Args:
        multi_bboxes: (n, 4) xyxy, or (n, 4 * C) one box a class.
        multi_scores: (n, C + 1), background last.
        score_thr: a (box, class) pair takes part if its score is greater.
        nms_cfg: see :func:`mmdet.ops.batched_nms`.
        max_num: keep so many at most; -1: all.
        score_factors: (n,) factors on the scores, applied after the threshold.
        return_inds: also give the flat indices (box * C + class) of the detections.

    Returns:
        Detections (k, 5) best first, labels (k,), and with ``return_inds`` indices (k,).
    """
    scores = multi_scores[:, :-1]
    num_classes = scores.size(1)
    flat = (scores > score_thr).flatten().nonzero().squeeze(1)
    rows, labels = flat // num_classes, flat % num_classes
    per_class = multi_bboxes.view(multi_bboxes.size(0), multi_bboxes.size(1) // 4, 4)
    boxes = per_class[rows, labels if per_class.size(1) > 1 else torch.zeros_like(labels)]
    picked = scores[rows, labels]
    if score_factors is not None:
        # behind the threshold: factors such as centreness order the boxes, they do not decide which take part
        picked = picked * score_factors[rows]
    dets, keep = batched_nms(boxes, picked, labels, nms_cfg)
    if max_num > 0:
        dets, keep = dets[:max_num], keep[:max_num]
    return (dets, labels[keep], flat[keep]) if return_inds else (dets, labels[keep])


def fast_nms(
    multi_bboxes: Tensor,
    multi_scores: Tensor,
    multi_coeffs: Tensor,
    score_thr: float,
    iou_thr: float,
    top_k: int,
    max_num: int = -1,
) -> tuple[Tensor, Tensor, Tensor]:
    """Suppression of all classes at once, in which suppressed boxes suppress too (YOLACT, arXiv:1904.02689).

    Args:
        multi_bboxes: (n, 4) xyxy, or (n, 4 * C), of which the first four columns are used.
        multi_scores: (n, C + 1), background last.
        multi_coeffs: (n, m) mask coefficients.
        score_thr: a detection stays if its score is greater.
        iou_thr: an IoU greater than this with a better box of the class suppresses.
        top_k: so many boxes of each class take part.
        max_num: keep so many at most; -1: all.

    Returns:
        Detections (k, 5) best first, labels (k,), coefficients (k, m).
    """
    scores, order = multi_scores[:, :-1].t().sort(1, descending=True)  # (C, n)
    scores, order = scores[:, :top_k], order[:, :top_k]
    num_classes, num_dets = order.shape
    if not order.numel():
        labels = torch.zeros(0, dtype=torch.long, device=multi_bboxes.device)
        return multi_bboxes.new_zeros(0, 5), labels, multi_coeffs.new_zeros(0, multi_coeffs.size(1))
    boxes = multi_bboxes[order.flatten(), :4].view(num_classes, num_dets, 4)
    coeffs = multi_coeffs[order.flatten()].view(num_classes, num_dets, -1)
    # class by class: all classes at once would need C times the memory; above the diagonal are the better boxes
    overlap = torch.stack([box_iou(of_class, of_class) for of_class in boxes]).triu_(diagonal=1)
    keep = (overlap.amax(1) <= iou_thr) & (scores > score_thr)
    labels = torch.arange(num_classes, device=boxes.device)[:, None].expand_as(keep)[keep]
    boxes, coeffs, scores = boxes[keep], coeffs[keep], scores[keep]
    scores, best = scores.sort(descending=True)
    if max_num > 0:
        scores, best = scores[:max_num], best[:max_num]
    return torch.cat([boxes[best], scores[:, None]], dim=1), labels[best], coeffs[best]
