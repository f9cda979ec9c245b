"""Prime sample attention (PISA, arXiv:1904.04821): positives weighted by the rank of their predicted box."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mmdet.models.losses.iou_loss import aligned_iou


def _of_class(bbox_pred: Tensor, rows: Tensor, labels: Tensor) -> Tensor:
    """Deltas (p, 4) of the given rows; of their class where ``bbox_pred`` is (n, 4 * C) and not (n, 4)."""
    if bbox_pred.size(-1) > 4:
        return bbox_pred.view(len(bbox_pred), -1, 4)[rows, labels]
    return bbox_pred[rows].view(-1, 4)


def _positives(labels: Tensor, num_class: int) -> Tensor:
    return ((labels >= 0) & (labels < num_class)).nonzero().flatten()


def _rank_within(groups: Tensor, values: Tensor) -> Tensor:
    """Rank (0 is the greatest) of each value among those of its group; (n,) and (n,) -> (n,) long.

    Boxes that miss their objects tie at an IoU of 0. Each group is sorted for itself, as torch's default sort orders
    ties by the length of what it sorts, and published results were made with that order.
    """
    order = groups.argsort(stable=True)
    sizes = torch.unique_consecutive(groups[order], return_counts=True)[1].tolist()
    ranks = torch.empty_like(order)
    ranks[order] = torch.cat([part.argsort(descending=True).argsort() for part in values[order].split(sizes)])
    return ranks


def _batch_gt_inds(sampling_results: Sequence[Any]) -> Tensor:
    """Assigned ground truths of all positives, images kept apart: (p,) long."""
    image = [torch.full_like(res.pos_assigned_gt_inds, i) for i, res in enumerate(sampling_results)]
    gts = torch.cat([res.pos_assigned_gt_inds for res in sampling_results])
    return torch.cat(image) * (gts.max() + 1) + gts if len(gts) else gts


def _importance(ious: Tensor, labels: Tensor, gts: Tensor) -> Tensor:
    """1 for the best sample of a class, falling in equal steps: hierarchical local rank of the IoUs, (p,).

    The best samples of all objects of a class come first, then all second ones, and so on.
    """
    most = labels.bincount().max()
    # an IoU is at most 1, a step of the rank within the object is 1: the latter decides, the IoU among equals
    rank = _rank_within(labels, ious + (most - _rank_within(gts, ious)))
    return (most - rank).to(ious) / most


def isr_p(
    cls_score: Tensor,
    bbox_pred: Tensor,
    bbox_targets: tuple[Tensor, Tensor, Tensor, Tensor],
    rois: Tensor,
    sampling_results: Sequence[Any],
    loss_cls: Callable,
    bbox_coder: Any,
    k: float = 2,
    bias: float = 0,
    num_class: int = 80,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Importance-based reweighting of positives; their total classification loss stays as it was.

    Args:
        cls_score: logits (n, C + 1), positives of an image before its negatives.
        bbox_pred: deltas (n, 4) or (n, 4 * C).
        bbox_targets: labels (n,), label weights (n,), deltas (n, 4), delta weights (n, 4).
        rois: anchors (n, 4) or RoIs (n, 5), xyxy px.
        sampling_results: one of each image, for ``pos_assigned_gt_inds``.
        loss_cls: the classification loss.
        bbox_coder: decodes deltas.
        k: power of the weights.
        bias: least weight, before the power.
        num_class: C, the label of background.

    Returns:
        ``bbox_targets`` with new label weights; the same objects where there is no positive.
    """
    labels, label_weights, delta_targets, delta_weights = bbox_targets
    pos = _positives(labels, num_class)
    if not len(pos):
        return labels, label_weights, delta_targets, delta_weights
    pos_labels, gts = labels[pos], _batch_gt_inds(sampling_results)
    if len(gts) != len(pos):
        raise ValueError(f'isr_p: {len(pos)} positive labels, but {len(gts)} positives in the sampling results')
    boxes = rois[pos][:, -4:]
    predicted = bbox_coder.decode(boxes, _of_class(bbox_pred.detach(), pos, pos_labels))
    targets = bbox_coder.decode(boxes, delta_targets[pos].view(-1, 4))
    old = label_weights[pos]
    new = old * _importance(aligned_iou(predicted, targets), pos_labels, gts)
    # bias keeps the last from weighing nothing; the power says how steeply the weights fall
    new = (bias + new * (1 - bias)).pow(k)
    loss = loss_cls(cls_score.detach()[pos], pos_labels, reduction_override='none').view(len(pos), -1).sum(1)
    # what prime samples gain the others lose: the balance with the negatives and the box loss stays as it was
    new = new * (loss * old).sum() / (loss * new).sum()
    return labels, label_weights.index_copy(0, pos, new.to(label_weights)), delta_targets, delta_weights


def carl_loss(
    cls_score: Tensor,
    labels: Tensor,
    bbox_pred: Tensor,
    bbox_targets: Tensor,
    loss_bbox: Callable,
    k: float = 1,
    bias: float = 0.2,
    avg_factor: float | None = None,
    sigmoid: bool = False,
    num_class: int = 80,
) -> dict[str, Tensor]:
    """Classification-aware box loss: positives weighted by the score of their class, through which gradients flow.

    Args:
        cls_score: logits (n, C) or (n, C + 1).
        labels: classes (n,), background = ``num_class``.
        bbox_pred: deltas (n, 4) or (n, 4 * C).
        bbox_targets: deltas (n, 4).
        loss_bbox: the box loss.
        k: power of the weights.
        bias: least weight, before the power.
        avg_factor: divisor; default n.
        sigmoid: scores are sigmoids and not a softmax.
        num_class: label of background.

    Returns:
        ``loss_carl`` (1,), 0 without positives.
    """
    pos = _positives(labels, num_class)
    if not len(pos):
        # a zero on the graph, as another process of the run may have positives and waits for these gradients
        return dict(loss_carl=cls_score.sum().reshape(1) * 0.0)
    scores = cls_score.float().sigmoid() if sigmoid else cls_score.float().softmax(-1)
    weights = (bias + (1 - bias) * scores[pos, labels[pos]]).pow(k)
    # of mean 1: otherwise the loss would fall as soon as the detector is less sure of everything
    weights = weights * len(pos) / weights.sum()
    deltas = _of_class(bbox_pred, pos, labels[pos])
    loss = loss_bbox(deltas, bbox_targets[pos], reduction_override='none')
    loss = loss / (len(bbox_targets) if avg_factor is None else avg_factor)
    loss = loss * weights[:, None]
    return dict(loss_carl=loss.sum().reshape(1))
