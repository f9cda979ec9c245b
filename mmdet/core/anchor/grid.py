"""Arithmetic shared by the prior generators: positions of a feature map's cells, and which of them count.

Sizes of feature maps are (h, w), strides are (x, y) in px.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mmdet.utils.running.device_copy import version_of

Pair = tuple[int, int]


def meshgrid(x: Tensor, y: Tensor, row_major: bool = True) -> tuple[Tensor, Tensor]:
    """x (w,) and y (h,) -> x and y (h * w,) of all cells, row by row; ``row_major=False`` gives y and x."""
    yy, xx = (grid.reshape(-1) for grid in torch.meshgrid(y, x, indexing='ij'))
    return (xx, yy) if row_major else (yy, xx)


def grid_positions(
    featmap_size: Pair, stride: Pair, device: torch.device, dtype: torch.dtype = torch.float32, offset: float = 0.0
) -> Tensor:
    """(h * w, 2) x, y in px of the cells of one feature map, row by row; ``offset`` is in cells."""
    return torch.stack(meshgrid(*cell_axes(featmap_size, stride, device, dtype, offset)), dim=-1)


def cell_axes(
    featmap_size: Pair, stride: Pair, device: torch.device, dtype: torch.dtype = torch.float32, offset: float = 0.0
) -> tuple[Tensor, Tensor]:
    """(w,) x of the columns and (h,) y of the rows of one feature map in px; ``offset`` is in cells."""
    height, width = featmap_size
    x = ((torch.arange(width, device=device) + offset) * stride[0]).to(dtype)
    y = ((torch.arange(height, device=device) + offset) * stride[1]).to(dtype)
    return x, y


def cell_positions(cells: Tensor, featmap_size: Pair, stride: Pair, offset: float = 0.0) -> Tensor:
    """(n,) flat cell numbers -> (n, 2) x, y in px: the rows ``cells`` of :func:`grid_positions`."""
    height, width = featmap_size
    x = (cells % width + offset) * stride[0]
    y = (cells.div(width, rounding_mode='floor') % height + offset) * stride[1]
    return torch.stack([x, y], dim=-1)


def valid_cells(featmap_size: Pair, valid_size: Pair, device: torch.device) -> Tensor:
    """(h * w,) bool: cells in the upper left corner of ``valid_size`` (h, w); see :func:`with_number`.

    Raises:
        ValueError: the valid part is larger than the feature map.
    """
    height, width = featmap_size
    valid_height, valid_width = valid_size
    if valid_height > height or valid_width > width:
        raise ValueError(f'valid_size {tuple(valid_size)} (h, w) exceeds the feature map {tuple(featmap_size)}')
    rows = torch.arange(height, device=device) < valid_height
    columns = torch.arange(width, device=device) < valid_width
    return with_number((rows[:, None] & columns).reshape(-1), valid_height * valid_width)


def with_number(flags: Tensor, number: int | None) -> Tensor:
    """``flags`` (n,) bool that know how many of them are true, so that no device need be asked; None: they do not."""
    if number is not None:
        flags.number_and_version = (number, version_of(flags))
    return flags


def number_of(flags: Tensor) -> int | None:
    """How many of the flags are true, as :func:`with_number` has it; None: unknown, or they were changed since."""
    number, version = getattr(flags, 'number_and_version', (None, None))
    return number if version == version_of(flags) else None


def join_flags(levels: Sequence[Tensor]) -> Tensor:
    """L tensors (n_l,) bool -> (sum of n_l,), with their number where that of all levels is known."""
    numbers = [number_of(flags) for flags in levels]
    return with_number(torch.cat(list(levels)), None if None in numbers else sum(numbers))


def valid_size(featmap_size: Pair, stride: Pair, pad_shape: Sequence[int]) -> Pair:
    """(h, w) in cells that an image of ``pad_shape`` (h, w[, c]) px covers on one feature map."""
    rows = min(math.ceil(pad_shape[0] / stride[1]), featmap_size[0])
    columns = min(math.ceil(pad_shape[1] / stride[0]), featmap_size[1])
    return rows, columns


def check_num_levels(featmap_sizes: Sequence[Pair], num_levels: int) -> None:
    """Check that there is one feature map a level.

    Raises:
        ValueError: there are more or fewer.
    """
    if len(featmap_sizes) != num_levels:
        raise ValueError(f'expected {num_levels} feature maps, one for each stride, got {len(featmap_sizes)}')
