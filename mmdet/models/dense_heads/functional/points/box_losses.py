"""Losses of boxes that points predict by their distances to the sides."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmdet.core.utils.dist_utils import reduce_mean
from mmdet.models.dense_heads.functional.rows import rows_of_level
from mmdet.models.losses.iou_loss import aligned_iou

MIN_IOU = 1e-6  # of a positive, as target of its score and weight of its box


def iou_weighted_loss(
    criterion: nn.Module,
    maps: Sequence[Tensor],
    coder: Any,
    pos: Tensor,
    points: Tensor,
    wanted: Tensor,
    weights: Tensor,
) -> tuple[Tensor, Tensor]:
    """Loss of the positives' boxes, weighted by their IoUs with the targets, and these IoUs (P,), without gradient.

    The divisor is the sum of the IoUs, the mean of all processes, at least 1; it does not depend on ``weights``.

    Args:
        criterion: a loss of boxes.
        maps: L maps (N, 4, H, W) of distances in pixels.
        coder: between points and boxes.
        pos: (P,) rows of the positives.
        points: (P, 2).
        wanted: (P, 4) boxes.
        weights: (P,).
    """
    distances = torch.cat([rows_of_level(level, 4) for level in maps])[pos]
    boxes = coder.decode(points, distances)
    # the overlaps weigh and are not learnt: a bad box would lower its loss by overlapping less
    ious = aligned_iou(boxes.detach(), wanted).clamp(min=MIN_IOU)
    divisor = reduce_mean(ious.sum()).clamp(min=1)
    return criterion(boxes, wanted, weight=ious * weights, avg_factor=divisor), ious
