"""The targets of sampled rows, and the one place that writes them.

N images, R rows (anchors, points, RoIs, queries) of each, P positives, D numbers of a box target, K classes. A
sample is either lists of indices (:func:`sampled_targets`) or masks of fixed size (:func:`masked_targets`).
"""

from typing import NamedTuple

import torch
from torch import Tensor


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


def scatter_rows(values: Tensor, count: int, rows: Tensor, fill: float = 0) -> Tensor:
    """``values`` (n, ...) as rows ``rows`` (n,) of ``count``, the others filled."""
    out = values.new_full((count, *values.shape[1:]), fill)
    return out.index_copy(0, rows, values)
