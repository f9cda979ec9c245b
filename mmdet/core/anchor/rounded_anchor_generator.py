"""Anchors as torchvision's detectors have them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmdet.core.anchor.anchor_generator import AnchorGenerator
from mmdet.core.anchor.builder import PRIOR_GENERATORS
from mmdet.core.anchor.grid import Pair, check_num_levels, grid_positions
from mmdet.core.anchor.utils import Device, usable_device


@PRIOR_GENERATORS.register_module()
class RoundedAnchorGenerator(AnchorGenerator):
    """Anchors whose corners, before they are moved over the map, lie on whole pixels, as in torchvision.

    The anchors of a level are as far apart as its map divides the image: the image's side divided by the map's, rounded
    down. That differs from ``strides`` on levels whose maps are rounded up (13 cells of a coarsest level for 800 px are
    61 px apart, not 64). The image's side is taken from the first level, on which the division has no rest.

    Args:
        strides: stride of each level in px; the first one is used as it is.
        ratios: heights over widths.
        level_sizes: sides in px of each level's squares, of the same number on all levels.
        scale_major: order of a cell's anchors: sizes run first (True) or ratios do.

    Raises:
        ValueError: not as many lists of sizes as strides.
    """

    def __init__(
        self,
        strides: Sequence[int | Pair],
        ratios: Sequence[float],
        level_sizes: Sequence[Sequence[float]],
        scale_major: bool = True,
    ) -> None:
        if len(level_sizes) != len(strides):
            raise ValueError(f'level_sizes has {len(level_sizes)} entries for {len(strides)} strides')
        self.level_sizes = [torch.as_tensor(sizes, dtype=torch.float32) for sizes in level_sizes]
        super().__init__(strides, ratios, scales=[1.0], base_sizes=[1.0] * len(strides), scale_major=scale_major)

    def gen_base_anchors(self) -> list[Tensor]:
        """L tensors (A, 4): the anchors of the first cell of each level."""
        return [self.gen_single_level_base_anchors(1.0, sizes, self.ratios) for sizes in self.level_sizes]

    def gen_single_level_base_anchors(
        self, base_size: float, scales: Tensor, ratios: Tensor, center: tuple[float, float] | None = None
    ) -> Tensor:
        """(A, 4) anchors of the first cell of a level, at whole pixels."""
        return super().gen_single_level_base_anchors(base_size, scales, ratios, center).round()

    def grid_priors(
        self, featmap_sizes: Sequence[Pair], dtype: torch.dtype = torch.float32, device: Device = 'cuda'
    ) -> list[Tensor]:
        """L tensors (h * w * A, 4): the anchors of feature maps of the given (h, w)."""
        check_num_levels(featmap_sizes, self.num_levels)
        device = usable_device(device)
        stride_x, stride_y = self.strides[0]
        height, width = featmap_sizes[0][0] * stride_y, featmap_sizes[0][1] * stride_x
        anchors = []
        for base, (rows, columns) in zip(self.base_anchors, featmap_sizes):
            shifts = grid_positions((rows, columns), (width // columns, height // rows), device, dtype).repeat(1, 2)
            anchors.append((base.to(device, dtype, non_blocking=True) + shifts[:, None]).reshape(-1, 4))
        return anchors
