"""The targets of sampled rows, and the one place that writes them.

N images, R rows (anchors, points, RoIs, queries) of each, P positives, D numbers of a box target, K classes. A
sample is either lists of indices (:func:`sampled_targets`) or masks of fixed size (:func:`masked_targets`).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

OTHER_CLASS = 1e6  # px, further than any box: an object of a row's own class comes first


class Targets(NamedTuple):
    """What rows are to become; rows that are not sampled weigh nothing."""

    labels: Tensor  # (..., R) long in [0, K], K background
    label_weights: Tensor  # (..., R)
    bbox_targets: Tensor  # (..., R, D), zeros but for positives
    bbox_weights: Tensor  # (..., R, D), zeros but for positives


def masked_targets(
    positive: Tensor,
    sampled: Tensor,
    labels: Tensor,
    bbox_targets: Tensor,
    background: int,
    pos_weight: float,
    bbox_weights: Tensor | None = None,
) -> Targets:
    """Targets of rows whose kinds are masks.

    Args:
        positive: (..., R) bool.
        sampled: (..., R) bool, positives and negatives.
        labels: (..., R) long; only those of positives count.
        bbox_targets: (..., R, D); likewise, others may be infinite.
        background: label of all but positives.
        pos_weight: label weight of positives; that of negatives is 1, and <= 0 means 1 too.
        bbox_weights: (..., R, D) of positives; None: 1.
    """
    weights = torch.ones_like(bbox_targets) if bbox_weights is None else bbox_weights
    return Targets(
        torch.where(positive, labels, background),
        torch.where(positive, pos_weight if pos_weight > 0 else 1.0, sampled.to(bbox_targets)),
        torch.where(positive[..., None], bbox_targets, 0.0),
        torch.where(positive[..., None], weights, 0.0),
    )


def sampled_targets(
    count: int,
    pos_rows: Tensor,
    neg_rows: Tensor,
    pos_labels: Tensor | int,
    pos_targets: Tensor,
    background: int,
    pos_weight: float,
    pos_bbox_weights: Tensor | None = None,
) -> Targets:
    """Targets of one image's ``count`` rows, of which some are sampled.

    Args:
        count: R.
        pos_rows, neg_rows: (P,) and (Q,) numbers of the positives' and of the negatives' rows.
        pos_labels: (P,) in [0, K), or one label for all.
        pos_targets: (P, D).
        background: K.
        pos_weight: label weight of positives; <= 0 means 1.
        pos_bbox_weights: (P, D); None: 1.
    """
    labels = pos_rows.new_full((count,), background)
    if isinstance(pos_labels, Tensor):
        labels[pos_rows] = pos_labels
    else:  # a number assigned to an index list is a copy that a GPU's host waits for; one that fills is not
        labels.index_fill_(0, pos_rows, pos_labels)
    nothing = torch.zeros_like(labels, dtype=torch.bool)
    sampled, positive = nothing.index_fill(0, neg_rows, True), nothing.index_fill(0, pos_rows, True)
    boxes = scatter_rows(pos_targets, count, pos_rows)
    weights = None if pos_bbox_weights is None else scatter_rows(pos_bbox_weights, count, pos_rows)
    return masked_targets(positive, sampled, labels, boxes, background, pos_weight, weights)


def targets_of_sample(
    count: int,
    rows: Tensor,
    sampled: Any,
    gt_labels: Tensor | None,
    pos_targets: Tensor,
    background: int,
    pos_weight: float,
    pos_bbox_weights: Tensor | None = None,
) -> Targets:
    """:func:`sampled_targets` of a sampling result.

    Args:
        rows: (R',) where the row of each box is that could be sampled.
        sampled: the result; its indices are below R'.
        gt_labels: (G,) in [0, K), or None: all objects are of class 0.
    """
    labels = 0 if gt_labels is None else gt_labels[sampled.pos_assigned_gt_inds]
    pos_rows, neg_rows = rows[sampled.pos_inds], rows[sampled.neg_inds]
    return sampled_targets(count, pos_rows, neg_rows, labels, pos_targets, background, pos_weight, pos_bbox_weights)


def matched_objects(labels: Tensor, background: int, results: Sequence[Any]) -> Tensor:
    """Numbers of the objects of the positives among rows, from what samplers gave for each image.

    Args:
        labels: (N, R) in [0, K]; a row with another label than ``background`` is a positive.
        background: K.
        results: N sampling results; the order of their positives may be any.

    Returns:
        Shaped like ``labels``; 0 where a row is no positive.
    """
    # masked_scatter fills row after row, so that the objects must stand in the order of the rows
    found = [result.pos_assigned_gt_inds[result.pos_inds.argsort()] for result in results]
    return torch.zeros_like(labels).masked_scatter(labels != background, torch.cat(found))


def objects_of_sample(result: Any) -> Tensor:
    """(n,) numbers of the objects of one image's sampled boxes, positives first; 0 of negatives."""
    return torch.cat([result.pos_assigned_gt_inds, torch.zeros_like(result.neg_inds)])


def objects_of_boxes(
    boxes: Tensor, labels: Tensor, gt_bboxes: Sequence[Tensor], gt_labels: Sequence[Tensor] | None
) -> Tensor:
    """Numbers of the objects that rows belong to, by box and class; of equal objects the first.

    For heads whose targets are whole boxes, and whose assignment keeps no numbers.

    Args:
        boxes: (N, R, 4) xyxy px of the rows' objects; any where a row is no positive.
        labels: (N, R).
        gt_bboxes: N times (G, 4).
        gt_labels: N times (G,); None: all are of one class.

    Returns:
        Shaped like ``labels``.
    """
    classes = [None] * len(labels) if gt_labels is None else gt_labels
    return torch.stack([objects_of_image(*image) for image in zip(boxes, labels, gt_bboxes, classes)])


def objects_of_image(boxes: Tensor, labels: Tensor | None, gt_bboxes: Tensor, gt_labels: Tensor | None) -> Tensor:
    """As :func:`objects_of_boxes` of one image: boxes (R, 4), labels (R,) -> numbers (R,), 0 without objects."""
    if not len(gt_bboxes):
        return torch.zeros(len(boxes), dtype=torch.long, device=boxes.device)
    distances = (boxes[:, None] - gt_bboxes.to(boxes)).abs().sum(-1)
    if labels is not None and gt_labels is not None:
        distances = distances + (labels[:, None] != gt_labels) * OTHER_CLASS
    return distances.argmin(1)


def scatter_rows(values: Tensor, count: int, rows: Tensor, fill: float = 0) -> Tensor:
    """``values`` (n, ...) as rows ``rows`` (n,) of ``count``, the others filled."""
    out = values.new_full((count, *values.shape[1:]), fill)
    return out.index_copy(0, rows, values)
