"""Losses of the maps of both corners (CornerNet, https://arxiv.org/abs/1808.01244)."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mmdet.models.dense_heads.functional.corners.corners import CORNERS

# of maps, their targets, weights of classes, weights of cells, and the peaks (bool) of the heat map
CornerLoss = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


def corner_losses(loss: CornerLoss, kind: str, tl_map: Tensor, br_map: Tensor, targets: Mapping[str, Any]) -> Tensor:
    """Mean of a loss of both corners.

    Args:
        loss: see :func:`class_loss` and :func:`shift_loss`.
        kind: which of the targets.
        tl_map, br_map: (N, ., h, w) predictions.
        targets: see ``CornerHead.get_targets``; ``..._class_weight`` and ``..._weight`` are all 1 where they are
            absent, the latter at corners alone.
    """
    losses = []
    for corner, predicted in zip(CORNERS, (tl_map, br_map)):
        peaks = targets[f'{corner}_heatmap'].eq(1)
        of_rows = targets.get(f'{corner}_weight', peaks.any(dim=1, keepdim=True).to(predicted))
        weights = targets.get(f'{corner}_class_weight', torch.ones_like(of_rows)), of_rows
        losses.append(loss(predicted, targets[f'{corner}_{kind}'], *weights, peaks))
    return (losses[0] + losses[1]) / 2


def class_loss(criterion: nn.Module) -> CornerLoss:
    """A loss of heat maps, divided by the number of peaks."""

    def loss(logits: Tensor, target: Tensor, of_classes: Tensor, of_rows: Tensor, peaks: Tensor) -> Tensor:
        return criterion(logits.sigmoid(), target, of_classes, avg_factor=peaks.sum().clamp(min=1))

    return loss


def shift_loss(criterion: nn.Module) -> CornerLoss:
    """A loss of vectors at corners, divided by the number of cells with a corner."""

    def loss(pred: Tensor, target: Tensor, of_classes: Tensor, of_rows: Tensor, peaks: Tensor) -> Tensor:
        return criterion(pred, target, of_rows, avg_factor=peaks.any(dim=1).sum().clamp(min=1))

    return loss
