"""The arithmetic of the box heads, without layers or settings. Boxes are xyxy px unless said otherwise."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# labels (n,), label weights (n,), box targets (n, 4), box weights (n, 4)
Targets = tuple[Tensor, Tensor, Tensor, Tensor]


def sampled_targets(
    pos_labels: Tensor, pos_targets: Tensor, num_neg: int, background: int, pos_weight: float
) -> Targets:
    """Targets of one image's sampled boxes: p positives, then the negatives.

    Args:
        pos_labels: (p,) classes of the positives.
        pos_targets: (p, 4), what their boxes should become: codes or px.
        num_neg: number of negatives.
        background: label of the negatives.
        pos_weight: label weight of the positives; that of the negatives is 1, and <= 0 means 1 too.

    Returns:
        Labels int64, label weights, box targets and box weights; the last two are 0 for negatives.
    """
    num_pos = len(pos_targets)
    labels = F.pad(pos_labels.long(), (0, num_neg), value=background)
    label_weights = pos_targets.new_ones(num_pos + num_neg)
    if pos_weight > 0:
        label_weights[:num_pos] = pos_weight
    bbox_targets, bbox_weights = (F.pad(t, (0, 0, 0, num_neg)) for t in (pos_targets, torch.ones_like(pos_targets)))
    return labels, label_weights, bbox_targets, bbox_weights


def scattered_targets(
    pos_inds: Tensor,
    neg_inds: Tensor,
    pos_labels: Tensor,
    pos_targets: Tensor,
    num_boxes: int,
    background: int,
    pos_weight: float,
) -> Targets:
    """As :func:`sampled_targets`, in the order of all n boxes of an image; those that were not sampled weigh nothing.

    Args:
        pos_inds, neg_inds: (p,) and (q,) rows of the positives and of the negatives.
        pos_labels: (p,) classes of the positives.
        pos_targets: (p, 4), what their boxes should become.
        num_boxes: n.
        background: label of all but the positives.
        pos_weight: label weight of the positives; <= 0 means 1.

    Returns:
        Labels (n,) int64, label weights (n,), box targets (n, 4) and box weights (n, 4).
    """
    labels = pos_inds.new_full((num_boxes,), background)
    labels[pos_inds] = pos_labels.long()
    label_weights = pos_targets.new_zeros(num_boxes)
    label_weights[pos_inds] = pos_weight if pos_weight > 0 else 1.0
    label_weights[neg_inds] = 1.0
    bbox_targets = pos_targets.new_zeros(num_boxes, 4)
    bbox_targets[pos_inds] = pos_targets
    bbox_weights = pos_targets.new_zeros(num_boxes, 4)
    bbox_weights[pos_inds] = 1.0
    return labels, label_weights, bbox_targets, bbox_weights


def boxes_of_labels(bbox_pred: Tensor, labels: Tensor) -> Tensor:
    """(n, 4 K) class-wise values and (n,) labels in ``[0, K)`` -> (n, 4), those of each row's label."""
    columns = labels[:, None] * 4 + torch.arange(4, device=labels.device)
    return bbox_pred.gather(1, columns)


def unscale_boxes(boxes: Tensor, scale_factor: Any) -> Tensor:
    """(n, 4 K) px of the network input -> px of the original image; ``scale_factor``: number or (w, h, w, h)."""
    scale = torch.as_tensor(scale_factor, dtype=boxes.dtype, device=boxes.device)
    return (boxes.unflatten(1, (boxes.size(1) // 4, 4)) / scale).flatten(1)


def refined_rows(rois: Tensor, pos_is_gts: Sequence[Tensor]) -> list[Tensor]:
    """For each of N images the rows of its RoIs that a next stage starts from: all but those that are ground truth.

    Args:
        rois: (n, 5), image index first; in each image the positives come first.
        pos_is_gts: for each image, 1 where a positive is a ground-truth box.

    Returns:
        N times (m_i,) long.
    """
    rows = []
    for i, is_gt in enumerate(pos_is_gts):
        inds = (rois[:, 0] == i).nonzero().squeeze(1)
        positives, negatives = inds[: len(is_gt)], inds[len(is_gt) :]
        rows.append(torch.cat([positives[is_gt == 0], negatives]))
    return rows
