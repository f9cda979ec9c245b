"""The losses of the box heads, as functions. Boxes are xyxy px.

n: sampled boxes of the whole batch; K: classes, label K being background.
"""

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mmdet.core.bbox.samplers.static_shapes import BoxCoding
from mmdet.models.losses.accuracy import accuracy
from mmdet.models.roi_heads.bbox_heads.functional import boxes_of_labels
from mmdet.models.roi_heads.functional.compat import attached_zero


class BoxRegressor(BoxCoding, Protocol):
    """What the box loss asks of a head."""

    reg_class_agnostic: bool
    loss_bbox: Any


class Classifier(Protocol):
    """What the classification loss asks of a head."""

    loss_cls: Any
    custom_activation: bool
    custom_accuracy: bool

    def cls_avg_factor(self, label_weights: Tensor) -> Tensor: ...


def class_losses_of(
    head: Classifier,
    cls_score: Tensor,
    labels: Tensor,
    label_weights: Tensor,
    reduction_override: str | None = None,
    valid: Tensor | None = None,
) -> dict[str, Tensor]:
    """``loss_cls`` and ``acc`` (percent), or the entries of a custom loss.

    Args:
        head: whose loss and settings count.
        valid: (n,) bool; see :func:`box_loss`. The other arguments are as of :func:`class_losses`.
    """
    factor = head.cls_avg_factor(label_weights) if valid is None else valid.sum().clamp(min=1)
    rows = cls_score, labels, label_weights
    losses = class_losses(head.loss_cls, *rows, factor, reduction_override, head.custom_activation)
    if head.custom_accuracy:
        return losses | head.loss_cls.get_accuracy(cls_score, labels)
    return losses | dict(acc=accuracy_of_valid(cls_score, labels, valid))


def class_losses(
    criterion: nn.Module,
    cls_score: Tensor,
    labels: Tensor,
    label_weights: Tensor,
    avg_factor: float | Tensor,
    reduction_override: str | None = None,
    takes_nothing: bool = False,
) -> dict[str, Tensor]:
    """``loss_cls``, or the entries of a criterion that gives several.

    Args:
        criterion: the classification loss.
        cls_score: (n, C) logits.
        labels, label_weights: (n,).
        avg_factor: what the loss is divided by.
        reduction_override: reduction in place of the criterion's own.
        takes_nothing: whether the criterion is called with n = 0, too.
    """
    if len(labels) or takes_nothing:
        options = dict(avg_factor=avg_factor, reduction_override=reduction_override)
        loss = criterion(cls_score, labels, label_weights, **options)
    else:  # the mean over no boxes is NaN in many a loss
        loss = cls_score.sum(1) if reduction_override == 'none' else attached_zero(cls_score)
    return dict(loss) if isinstance(loss, dict) else dict(loss_cls=loss)


def accuracy_of_valid(cls_score: Tensor, labels: Tensor, valid: Tensor | None) -> Any:
    """Percentage of right classes among the ``valid`` rows (n,) bool; None: all of them are."""
    if valid is None:
        return accuracy(cls_score, labels)
    # rows that only fill up have no class, and are counted wrong: the factor takes them out of the mean
    factor = len(labels) / valid.sum().clamp(min=1)
    return accuracy(cls_score, labels.masked_fill(~valid, -1)) * factor


def box_loss(
    head: BoxRegressor,
    bbox_pred: Tensor,
    rois: Tensor,
    labels: Tensor,
    bbox_targets: Tensor,
    bbox_weights: Tensor,
    reduction_override: str | None = None,
    valid: Tensor | None = None,
) -> Tensor:
    """Box loss of the positives, divided by the number of all sampled boxes.

    Args:
        head: whose loss, coder and settings count.
        bbox_pred: (n, 4 K) or (n, 4) codes.
        rois: (n, 5), image index first.
        labels: (n,).
        bbox_targets, bbox_weights: (n, 4).
        reduction_override: reduction in place of the loss's own.
        valid: (n,) bool; with it, nothing is computed whose shape the values decide.
    """
    positive = (labels >= 0) & (labels < head.num_classes)
    if valid is None:
        avg_factor: int | Tensor = len(labels)
        rows = positive.nonzero().squeeze(1)
        if not len(rows):
            return attached_zero(bbox_pred)
        parts = (bbox_pred, rois, labels, bbox_targets, bbox_weights)
        bbox_pred, rois, labels, bbox_targets, bbox_weights = (part[rows] for part in parts)
    else:
        avg_factor, labels = valid.sum().clamp(min=1), labels.clamp(max=head.num_classes - 1)
    if not head.reg_class_agnostic:
        bbox_pred = boxes_of_labels(bbox_pred, labels)
    if head.reg_decoded_bbox:
        bbox_pred = head.bbox_coder.decode(rois[:, 1:], bbox_pred)
    if valid is not None:  # all rows are computed, but what is predicted for others than positives must not matter
        bbox_pred = torch.where(positive[:, None], bbox_pred, bbox_targets)
    return head.loss_bbox(
        bbox_pred, bbox_targets, bbox_weights, avg_factor=avg_factor, reduction_override=reduction_override
    )
