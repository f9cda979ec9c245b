"""The arithmetic of SABL's box head, and its side layers (https://arxiv.org/abs/1912.04260).

n: boxes; K: classes; S: buckets of a side. The four sides of a box come in the order left, right, top, down; values of
a side run from the box's edge inwards.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmdet.core.bbox.coder.bucketing_bbox_coder import joined_targets
from mmdet.core.targets import Targets
from mmdet.models.roi_heads.bbox_heads.functional import positives_first
from mmdet.models.roi_heads.functional.compat import attached_zero

Pair = tuple[Tensor, Tensor]  # of the buckets (logits, labels or weights) and of the offsets in them, (n, 4 S) each


def fc_branch(number: int, in_features: int, out_features: int) -> nn.ModuleList:
    """``number`` linear layers, the first of ``in_features``, all with ``out_features`` outputs."""
    widths = [in_features] + [out_features] * number
    return nn.ModuleList(nn.Linear(*pair) for pair in zip(widths, widths[1:]))


def side_layers(
    channels: int, ratio: int, pre_num: int, pre_kernel: int, post_num: int, post_kernel: int, norm_cfg: dict | None
) -> dict[str, nn.Module]:
    """Layers that turn RoI features into features of the rows and of the columns, by their names in the head.

    Args:
        channels: of the features, before and after.
        ratio: by which columns and rows are upsampled; 1: they are not.
        pre_num, pre_kernel: convolutions before the features are split by side, and their kernel.
        post_num, post_kernel: the same for those, one-dimensional, afterwards.
        norm_cfg: kind of norm of the convolutions.
    """

    def convs(number: int, kernel: tuple[int, int]) -> nn.ModuleList:
        padding = kernel[0] // 2, kernel[1] // 2
        return nn.ModuleList(
            ConvModule(channels, channels, kernel, padding=padding, norm_cfg=norm_cfg) for _ in range(number)
        )

    layers: dict[str, nn.Module] = {}
    if ratio > 1:
        layers['upsample_x'] = nn.ConvTranspose1d(channels, channels, ratio, stride=ratio)
        layers['upsample_y'] = nn.ConvTranspose1d(channels, channels, ratio, stride=ratio)
    layers['reg_pre_convs'] = convs(pre_num, (pre_kernel, pre_kernel))
    layers['reg_post_conv_xs'] = convs(post_num, (1, post_kernel))
    layers['reg_post_conv_ys'] = convs(post_num, (post_kernel, 1))
    layers['reg_conv_att_x'] = nn.Conv2d(channels, 1, 1)
    layers['reg_conv_att_y'] = nn.Conv2d(channels, 1, 1)
    return layers


def default_init_cfg(children: Iterable[str]) -> list[dict]:
    """Normal weights for the predictions, Xavier for what precedes them in the box branch, of layers of these names."""
    predictions = {'fc_cls': 0.01, 'fc_reg_cls': 0.001, 'fc_reg_offset': 0.001}
    rest = [dict(name=name) for name in children if name.startswith(('reg_', 'cls_', 'upsample'))]
    return [
        *(dict(type='Normal', std=std, override=dict(name=name)) for name, std in predictions.items()),
        dict(type='Xavier', distribution='uniform', override=rest),
    ]


def axis_means(feats: Tensor, x_weights: Tensor, y_weights: Tensor) -> Pair:
    """(n, C, h, w) -> means over the rows (n, C, w) and over the columns (n, C, h), by weights (n, 1, h, w) > 0."""
    columns = (feats * (x_weights / x_weights.sum(2, keepdim=True))).sum(2)
    rows = (feats * (y_weights / y_weights.sum(3, keepdim=True))).sum(3)
    return columns, rows


def split_sides(values: Tensor) -> Tensor:
    """(n, L) along an axis -> (n, 2 S): the first half, and the second from the end; they share an odd middle."""
    half = math.ceil(values.size(1) / 2)
    return torch.cat([values[:, :half], values[:, -half:].flip(1)], dim=1)


def halves_of(values: Tensor) -> Pair:
    """(n, 8 S), the buckets' before the offsets', -> each apart."""
    buckets, offsets = values.chunk(2, dim=1)
    return buckets, offsets


def bucket_targets(
    coder: Any,
    pos_bboxes: Tensor,
    pos_gt_bboxes: Tensor,
    pos_gt_labels: Tensor,
    num_neg: int,
    num_classes: int,
    pos_weight: float,
) -> Targets:
    """Targets of one image's sampled boxes, positives first.

    Args:
        coder: gives offsets, their weights, buckets and their weights.
        pos_bboxes: (p, 4) px.
        pos_gt_bboxes: (p, 4) px, the objects that the positives belong to.
        pos_gt_labels: (p,) in ``[0, K)``.
        num_neg: number q of negatives.
        num_classes: K.
        pos_weight: the label weight of positives; <= 0 means 1.

    Returns:
        Labels (p + q,), label weights (p + q,), targets (p + q, 8 S) and their weights (p + q, 8 S): the buckets', then
        the offsets'.
    """
    values, weights = joined_targets(coder, pos_bboxes, pos_gt_bboxes)
    return positives_first(pos_gt_labels, values, num_neg, num_classes, pos_weight, weights)


def bucket_losses(
    loss_bbox_cls: nn.Module, loss_bbox_reg: nn.Module, preds: Pair, targets: Pair, weights: Pair, **options: Any
) -> dict[str, Tensor]:
    """``loss_bbox_cls``, divided by the number of sides, and ``loss_bbox_reg``, by the number of boxes.

    Args:
        loss_bbox_cls, loss_bbox_reg: the losses.
        preds, targets, weights: of the buckets and of the offsets.
        options: for both losses.
    """
    if not len(preds[0]):
        return dict(loss_bbox_cls=attached_zero(preds[0]), loss_bbox_reg=attached_zero(preds[1]))
    buckets = (pair[0].unflatten(1, (4, -1)).flatten(0, 1) for pair in (preds, targets, weights))
    sides, side_targets, side_weights = buckets
    return dict(
        loss_bbox_cls=loss_bbox_cls(sides, side_targets, side_weights, avg_factor=len(sides), **options),
        loss_bbox_reg=loss_bbox_reg(preds[1], targets[1], weights[1], avg_factor=len(preds[1]), **options),
    )
