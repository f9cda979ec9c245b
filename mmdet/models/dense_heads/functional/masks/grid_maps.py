"""Feature maps on their way to the cells of SOLO's grids (https://arxiv.org/abs/1912.04488)."""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdet.core.utils.misc import generate_coordinate
from mmdet.models.dense_heads.functional.rows import rows_of_images, to_full_precision


def with_positions(x: Tensor) -> Tensor:
    """Features (N, C, H, W) -> (N, C + 2, H, W), with each cell's x and y from -1 to 1 behind them."""
    return torch.cat([x, generate_coordinate(x.shape, x.device).to(x.dtype)], dim=1)


def at_size(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (N, C, H, W) -> (N, C, h, w) of the given size."""
    if maps.shape[-2:] == size:  # a copy of the masks of all cells would be the largest tensor of an inference
        return maps
    return F.interpolate(maps, size=size, mode='bilinear', align_corners=False)


def upsampled(tower: Iterable[nn.Module], x: Tensor) -> Tensor:
    """Features (N, C, H, W) after a tower of layers, twice as large."""
    for layer in tower:
        x = layer(x)
    return F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)


def only_local_maxima(scores: Tensor) -> Tensor:
    """Scores (N, C, S, S), 0 where one of the three cells above and to the left is greater."""
    greatest = F.max_pool2d(scores, 2, stride=1, padding=1)[..., :-1, :-1]
    return scores * (greatest == scores)


def values_of_grids(maps: Sequence[Tensor]) -> Tensor:
    """L maps (N, C, S, S) -> (N, R, C) in full precision, the cells of all grids one after another."""
    return rows_of_images(to_full_precision(maps), maps[0].size(1))
