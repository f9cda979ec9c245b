"""The arithmetic of the box heads, without layers or settings. Boxes are xyxy px unless said otherwise."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import rows_of
from mmdet.core.post_processing.bbox_nms import multiclass_nms
from mmdet.core.targets import Targets, sampled_targets
from mmdet.utils.running.device_copy import tensor_like


def boxes_of_labels(bbox_pred: Tensor, labels: Tensor) -> Tensor:
    """(n, 4 K) class-wise values and (n,) labels in ``[0, K)`` -> (n, 4), those of each row's label."""
    columns = labels[:, None] * 4 + torch.arange(4, device=labels.device)
    return bbox_pred.gather(1, columns)


def unscale_boxes(boxes: Tensor, scale_factor: Any) -> Tensor:
    """(n, 4 K) px of the network input -> px of the original image; ``scale_factor``: number or (w, h, w, h)."""
    scale = tensor_like(scale_factor, boxes)
    return (boxes.unflatten(1, (boxes.size(1) // 4, 4)) / scale).flatten(1)


def detections(
    bboxes: Tensor,
    scores: Tensor | None,
    scale_factor: Any,
    rescale: bool,
    cfg: Any,
    score_factors: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """What a box head returns for the decoded boxes of one image.

    Args:
        bboxes: (n, 4 K) or (n, 4) px of the network input.
        scores: (n, K + 1); None only without ``cfg``.
        scale_factor: see :func:`unscale_boxes`.
        rescale: give boxes in px of the original image.
        cfg: has ``score_thr``, ``nms`` and ``max_per_img``; None leaves out suppression.
        score_factors: (n,) that multiply the scores in the suppression.

    Returns:
        Detections (k, 5) with their scores and labels (k,); without ``cfg`` boxes and scores as they came.

    Raises:
        ValueError: there are no scores to go by.
    """
    if rescale:
        bboxes = unscale_boxes(bboxes, scale_factor)
    if cfg is None:
        return bboxes, scores
    if scores is None:
        raise ValueError('boxes without scores cannot be suppressed: a head with with_cls=False takes cfg=None')
    return multiclass_nms(bboxes, scores, cfg.score_thr, cfg.nms, cfg.max_per_img, score_factors=score_factors)


def positives_first(
    pos_gt_labels: Tensor,
    pos_targets: Tensor,
    num_neg: int,
    num_classes: int,
    pos_weight: float,
    pos_weights: Tensor | None = None,
) -> Targets:
    """Targets of p + q sampled boxes of one image, in whose rows the p positives come first.

    Args:
        pos_gt_labels: (p,) in ``[0, K)``.
        pos_targets: (p, w) of the positives' boxes.
        num_neg: number q of negatives.
        num_classes: K.
        pos_weight: the label weight of positives; <= 0 means 1.
        pos_weights: (p, w) of ``pos_targets``; None: 1.
    """
    count, num_pos = len(pos_targets) + num_neg, len(pos_targets)
    positives, negatives = torch.arange(count, device=pos_targets.device).tensor_split([num_pos])
    rows = (count, positives, negatives, pos_gt_labels, pos_targets, num_classes, pos_weight)
    return sampled_targets(*rows, pos_weights)


def mean_of(cls_score: Tensor | Sequence[Tensor] | None) -> Tensor | None:
    """The mean of several tensors; a single one, and None, as it is."""
    if cls_score is None or isinstance(cls_score, Tensor):
        return cls_score
    return sum(cls_score[1:], start=cls_score[0]) / len(cls_score)


def moved_rois(rois: Tensor, decode: Callable[[Tensor], Tensor]) -> Tensor:
    """RoIs (n, 4) px, or (n, 5) with the image index first, whose boxes are what ``decode`` makes of theirs.

    Raises:
        ValueError: they have neither 4 nor 5 columns.
    """
    if rois.size(1) not in (4, 5):
        raise ValueError(f'rois: expected (n, 4) or (n, 5), got {tuple(rois.shape)}')
    return torch.cat([rois[:, :-4], decode(rois[:, -4:])], dim=1)


def refined_rows(rois: Tensor, pos_is_gts: Sequence[Tensor]) -> list[Tensor]:
    """For each of N images the rows of its RoIs that a next stage starts from: all but those that are ground truth.

    Args:
        rois: (n, 5), image index first; in each image the positives come first.
        pos_is_gts: for each image, 1 where a positive is a ground-truth box.

    Returns:
        N times (m_i,) long.
    """
    kept = []
    for i, is_gt in enumerate(pos_is_gts):
        of_image = rois[:, 0] == i
        place = (of_image.cumsum(0) - 1).clamp(min=0, max=len(is_gt))  # in the image; negatives come last
        kept.append(of_image & ~F.pad(is_gt != 0, (0, 1))[place])
    return rows_of(kept)
