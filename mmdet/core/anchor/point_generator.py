"""Point priors, for heads without anchors."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.modules.utils import _pair

from mmdet.core.anchor.builder import PRIOR_GENERATORS
from mmdet.core.anchor.grid import (
    Pair,
    cell_positions,
    check_num_levels,
    grid_positions,
    meshgrid,
    valid_cells,
    valid_size,
)
from mmdet.core.anchor.utils import Device, usable_device
from mmdet.utils.running.device_copy import tensor_like


@PRIOR_GENERATORS.register_module()
class PointGenerator:
    """Points of one level, with their stride (RepPoints, https://arxiv.org/abs/1904.11490)."""

    def _meshgrid(self, x: Tensor, y: Tensor, row_major: bool = True) -> tuple[Tensor, Tensor]:
        return meshgrid(x, y, row_major)

    def grid_points(self, featmap_size: Pair, stride: int = 16, device: Device = 'cuda') -> Tensor:
        """(h * w, 3) x, y, stride in px of each cell's upper left corner, row by row."""
        points = grid_positions(featmap_size, _pair(stride), usable_device(device))
        return torch.cat([points, points.new_full((len(points), 1), stride)], dim=1)

    def valid_flags(self, featmap_size: Pair, valid_size: Pair, device: Device = 'cuda') -> Tensor:
        """(h * w,) bool: cells inside the upper left ``valid_size`` (h, w) of the feature map."""
        return valid_cells(featmap_size, valid_size, usable_device(device))


@PRIOR_GENERATORS.register_module()
class MlvlPointGenerator:
    """Points of several levels (FCOS, https://arxiv.org/abs/1904.01355).

    Args:
        strides: stride of each level in px, a number or (x, y).
        offset: where in its cell a point lies; 0 is the upper left corner, 0.5 the centre.
    """

    def __init__(self, strides: Sequence[int | Pair], offset: float = 0.5) -> None:
        self.strides = [_pair(stride) for stride in strides]
        self.offset = offset

    @property
    def num_levels(self) -> int:
        """Number of levels."""
        return len(self.strides)

    @property
    def num_base_priors(self) -> list[int]:
        """Points in a cell of each level: always 1."""
        return [1] * self.num_levels

    def _meshgrid(self, x: Tensor, y: Tensor, row_major: bool = True) -> tuple[Tensor, Tensor]:
        return meshgrid(x, y, row_major)

    def grid_priors(
        self,
        featmap_sizes: Sequence[Pair],
        dtype: torch.dtype = torch.float32,
        device: Device = 'cuda',
        with_stride: bool = False,
    ) -> list[Tensor]:
        """L tensors (h * w, 2) x, y in px, or (h * w, 4) x, y, stride x, stride y, for the (h, w) of each level."""
        check_num_levels(featmap_sizes, self.num_levels)
        return [
            self.single_level_grid_priors(size, level, dtype, device, with_stride)
            for level, size in enumerate(featmap_sizes)
        ]

    def single_level_grid_priors(
        self,
        featmap_size: Pair,
        level_idx: int,
        dtype: torch.dtype = torch.float32,
        device: Device = 'cuda',
        with_stride: bool = False,
    ) -> Tensor:
        """Points of one level; see :meth:`grid_priors`."""
        stride = self.strides[level_idx]
        points = grid_positions(featmap_size, stride, usable_device(device), dtype, self.offset)
        return torch.cat([points, tensor_like(stride, points).expand_as(points)], dim=1) if with_stride else points

    def valid_flags(
        self, featmap_sizes: Sequence[Pair], pad_shape: Sequence[int], device: Device = 'cuda'
    ) -> list[Tensor]:
        """L tensors (h * w,) bool: points that lie in the padded image of ``pad_shape`` (h, w[, c]) px."""
        check_num_levels(featmap_sizes, self.num_levels)
        return [
            self.single_level_valid_flags(size, valid_size(size, stride, pad_shape), device)
            for size, stride in zip(featmap_sizes, self.strides)
        ]

    def single_level_valid_flags(self, featmap_size: Pair, valid_size: Pair, device: Device = 'cuda') -> Tensor:
        """(h * w,) bool: cells inside the upper left ``valid_size`` (h, w) of the feature map."""
        return valid_cells(featmap_size, valid_size, usable_device(device))

    def sparse_priors(
        self,
        prior_idxs: Tensor,
        featmap_size: Pair,
        level_idx: int,
        dtype: torch.dtype = torch.float32,
        device: Device = 'cuda',
    ) -> Tensor:
        """(n, 2) points of one level whose flat numbers are ``prior_idxs`` (n,)."""
        cells = prior_idxs.to(usable_device(device))
        return cell_positions(cells, featmap_size, self.strides[level_idx], self.offset).to(dtype)
