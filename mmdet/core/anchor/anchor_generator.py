"""Anchor generators: the boxes that anchor based heads start from.

Boxes are xyxy in px of the network's input. On each level the anchors run row by row over the cells and, inside a
cell, over the base anchors: anchor ``(y * w + x) * A + a`` is base anchor ``a`` of cell ``(x, y)``.
"""

import math
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.modules.utils import _pair

from mmdet.core.anchor.base_anchors import anchor_sizes, anchors_around, octave_scales, ssd_sizes
from mmdet.core.anchor.builder import PRIOR_GENERATORS
from mmdet.core.anchor.grid import (
    Pair,
    cell_axes,
    cell_positions,
    check_num_levels,
    meshgrid,
    number_of,
    valid_cells,
    valid_size,
    with_number,
)
from mmdet.core.anchor.utils import Device, usable_device


@PRIOR_GENERATORS.register_module()
class AnchorGenerator:
    """Anchors of several levels.

    Args:
        strides: stride of each level in px, a number or (x, y).
        ratios: heights over widths.
        scales: factors of the base sizes.
        base_sizes: side of each level's basic square in px; default: the smaller stride.
        scale_major: order of a cell's anchors: scales run first (True) or ratios do.
        octave_base_scale: with ``scales_per_octave``, instead of ``scales``: the first scale.
        scales_per_octave: number of scales until the first one is doubled.
        centers: (x, y) in px of the anchors of the first cell, for each level.
        center_offset: where no ``centers`` are given, the centre in the first cell as a fraction of the base size,
            0 to 1; 0 is the cell's upper left corner.

    Raises:
        ValueError: numbers of levels differ, an offset is outside [0, 1] or comes with centers, or not exactly one of
            ``scales`` and the octave's pair is given.
    """

    def __init__(
        self,
        strides: Sequence[float | Pair],
        ratios: Sequence[float],
        scales: Sequence[float] | None = None,
        base_sizes: Sequence[float] | None = None,
        scale_major: bool = True,
        octave_base_scale: float | None = None,
        scales_per_octave: int | None = None,
        centers: Sequence[tuple[float, float]] | None = None,
        center_offset: float = 0.0,
    ) -> None:
        octave = (octave_base_scale, scales_per_octave)
        if None in octave if scales is None else octave != (None, None):
            raise ValueError(
                f'give either scales or both octave_base_scale and scales_per_octave; got scales={scales}, '
                f'octave_base_scale={octave_base_scale}, scales_per_octave={scales_per_octave}'
            )
        if not 0 <= center_offset <= 1 or (center_offset and centers is not None):
            raise ValueError(
                f'center_offset must be in [0, 1], and 0 where centers are given; got {center_offset} '
                f'with centers={centers}'
            )
        self.strides = [_pair(stride) for stride in strides]
        self.base_sizes = [min(stride) for stride in self.strides] if base_sizes is None else base_sizes
        self.scales = torch.as_tensor(scales if scales is not None else octave_scales(*octave), dtype=torch.float32)
        self.octave_base_scale, self.scales_per_octave = octave
        self.ratios = torch.as_tensor(ratios, dtype=torch.float32)
        for given in (octave[:1] if scales is None else scales, ratios):
            # on the CPU, whatever device the detector is built on
            if not len(given) or not (torch.as_tensor(given, device='cpu') > 0).all():
                raise ValueError(f'expected scales and ratios above 0, at least one of each; got {scales} and {ratios}')
        self.scale_major = scale_major
        self.centers = centers
        self.center_offset = center_offset
        for name, values in (('base_sizes', self.base_sizes), ('centers', centers)):
            if values is not None and len(values) != len(self.strides):
                raise ValueError(f'{name} has {len(values)} entries for {len(self.strides)} strides')
        self.base_anchors = self.gen_base_anchors()

    @property
    def num_base_anchors(self) -> list[int]:
        """The former name of :attr:`num_base_priors`."""
        return self.num_base_priors

    @property
    def num_base_priors(self) -> list[int]:
        """Anchors in a cell of each level."""
        return [len(anchors) for anchors in self.base_anchors]

    @property
    def num_levels(self) -> int:
        """Number of levels."""
        return len(self.strides)

    def level_center(self, level: int) -> tuple[float, float] | None:
        """(x, y) of the anchors of the first cell; None: by ``center_offset``."""
        return None if self.centers is None else self.centers[level]

    def gen_base_anchors(self) -> list[Tensor]:
        """L tensors (A, 4): the anchors of the first cell of each level."""
        return [
            self.gen_single_level_base_anchors(size, self.scales, self.ratios, self.level_center(level))
            for level, size in enumerate(self.base_sizes)
        ]

    def gen_single_level_base_anchors(
        self, base_size: float, scales: Tensor, ratios: Tensor, center: tuple[float, float] | None = None
    ) -> Tensor:
        """(A, 4) anchors of the first cell of a level."""
        center = center or (self.center_offset * base_size,) * 2
        return anchors_around(center, *anchor_sizes(base_size, scales, ratios, self.scale_major))

    def _meshgrid(self, x: Tensor, y: Tensor, row_major: bool = True) -> tuple[Tensor, Tensor]:
        return meshgrid(x, y, row_major)

    def grid_priors(
        self, featmap_sizes: Sequence[Pair], dtype: torch.dtype = torch.float32, device: Device = 'cuda'
    ) -> list[Tensor]:
        """L tensors (h * w * A, 4): the anchors of feature maps of the given (h, w)."""
        check_num_levels(featmap_sizes, self.num_levels)
        return [self.single_level_grid_priors(size, level, dtype, device) for level, size in enumerate(featmap_sizes)]

    def single_level_grid_priors(
        self, featmap_size: Pair, level_idx: int, dtype: torch.dtype = torch.float32, device: Device = 'cuda'
    ) -> Tensor:
        """(h * w * A, 4) anchors of one level."""
        base_anchors = self.base_anchors[level_idx].to(usable_device(device), dtype, non_blocking=True)
        return self.single_level_grid_anchors(base_anchors, featmap_size, self.strides[level_idx], device)

    def sparse_priors(
        self,
        prior_idxs: Tensor,
        featmap_size: Pair,
        level_idx: int,
        dtype: torch.dtype = torch.float32,
        device: Device = 'cuda',
    ) -> Tensor:
        """(n, 4) anchors of one level whose flat numbers are ``prior_idxs`` (n,)."""
        device = usable_device(device)
        prior_idxs = prior_idxs.to(device)
        num_base = self.num_base_priors[level_idx]
        cells = prior_idxs.div(num_base, rounding_mode='floor')
        shifts = cell_positions(cells, featmap_size, self.strides[level_idx]).to(dtype)
        return self.base_anchors[level_idx].to(device, dtype, non_blocking=True)[prior_idxs % num_base] + shifts.repeat(
            1, 2
        )

    def grid_anchors(self, featmap_sizes: Sequence[Pair], device: Device = 'cuda') -> list[Tensor]:
        """The former name of :meth:`grid_priors`."""
        warnings.warn('grid_anchors is deprecated; use grid_priors', DeprecationWarning, stacklevel=2)
        return self.grid_priors(featmap_sizes, device=device)

    def single_level_grid_anchors(
        self, base_anchors: Tensor, featmap_size: Pair, stride: Pair = (16, 16), device: Device = 'cuda'
    ) -> Tensor:
        """(h * w * A, 4): ``base_anchors`` (A, 4) moved to every cell of one feature map."""
        device = usable_device(device)
        base_anchors = base_anchors.to(device)
        x, y = cell_axes(featmap_size, stride, device, base_anchors.dtype)
        anchors = base_anchors.new_empty(*y.shape, *x.shape, *base_anchors.shape)  # (h, w, A, 4)
        # axis by axis: a broadcast along rows of four numbers would take ten times as long
        anchors[..., 0::2] = base_anchors[:, 0::2] + x[:, None, None]
        anchors[..., 1::2] = base_anchors[:, 1::2] + y[:, None, None, None]
        return anchors.view(-1, 4)

    def valid_flags(
        self, featmap_sizes: Sequence[Pair], pad_shape: Sequence[int], device: Device = 'cuda'
    ) -> list[Tensor]:
        """L tensors (h * w * A,) bool: anchors of cells in the padded image of ``pad_shape`` (h, w[, c]) px."""
        check_num_levels(featmap_sizes, self.num_levels)
        return [
            self.single_level_valid_flags(size, valid_size(size, stride, pad_shape), num_base, device)
            for size, stride, num_base in zip(featmap_sizes, self.strides, self.num_base_priors)
        ]

    def single_level_valid_flags(
        self, featmap_size: Pair, valid_size: Pair, num_base_anchors: int, device: Device = 'cuda'
    ) -> Tensor:
        """(h * w * A,) bool: anchors of cells inside the upper left ``valid_size`` (h, w) of the feature map."""
        cells = valid_cells(featmap_size, valid_size, usable_device(device))
        return with_number(cells.repeat_interleave(num_base_anchors), number_of(cells) * num_base_anchors)

    def __repr__(self) -> str:
        fields = ', '.join(f'{name}={value}' for name, value in vars(self).items() if name != 'base_anchors')
        return f'{type(self).__name__}({fields})'


@PRIOR_GENERATORS.register_module()
class SSDAnchorGenerator(AnchorGenerator):
    """Anchors of SSD (https://arxiv.org/abs/1512.02325): a small and a large square and the stretched small ones.

    Args:
        strides: stride of each level in px, a number or (x, y).
        ratios: for each level, the ratios above 1; their inverses and 1 are added.
        min_sizes: side of each level's small square in px.
        max_sizes: as ``min_sizes``; the large square's side is the geometric mean of the two.
        basesize_ratio_range: where no sizes are given, the fraction of the input between which they are spread.
        input_size: 300 or 512 px where no sizes are given.
        scale_major: order of a cell's anchors, before the large square is moved to the second place.

    Raises:
        ValueError: sizes are missing and not known for this input and range, or only one kind is given.
    """

    def __init__(
        self,
        strides: Sequence[float | Pair],
        ratios: Sequence[Sequence[float]],
        min_sizes: Sequence[float] | None = None,
        max_sizes: Sequence[float] | None = None,
        basesize_ratio_range: tuple[float, float] = (0.15, 0.9),
        input_size: int = 300,
        scale_major: bool = True,
    ) -> None:
        if (min_sizes is None) != (max_sizes is None) or not len(strides) == len(ratios):
            raise ValueError('give both min_sizes and max_sizes or neither, and ratios for each stride')
        self.strides = [_pair(stride) for stride in strides]
        self.input_size = input_size
        self.basesize_ratio_range = basesize_ratio_range
        if min_sizes is None:
            min_sizes, max_sizes = ssd_sizes(len(strides), input_size, basesize_ratio_range)
        if not len(min_sizes) == len(max_sizes) == len(strides):
            raise ValueError(f'{len(strides)} strides, but {len(min_sizes)} min_sizes and {len(max_sizes)} max_sizes')
        self.base_sizes = min_sizes
        self.scales = [torch.tensor([1.0, math.sqrt(large / small)]) for small, large in zip(min_sizes, max_sizes)]
        self.ratios = [torch.tensor([1.0] + [r for ratio in level for r in (1 / ratio, ratio)]) for level in ratios]
        self.scale_major = scale_major
        self.centers = self.level_centers()
        self.center_offset = 0.0
        self.base_anchors = self.gen_base_anchors()

    def level_centers(self) -> list[tuple[float, float]]:
        """(x, y) of the first cell's centre, for each level."""
        return [(x / 2, y / 2) for x, y in self.strides]

    def gen_base_anchors(self) -> list[Tensor]:
        """L tensors (A, 4); of the large scale only one anchor is kept, at the second place."""
        base_anchors = []
        for level, size in enumerate(self.base_sizes):
            ratios = self.ratios[level]
            anchors = self.gen_single_level_base_anchors(size, self.scales[level], ratios, self.centers[level])
            # of the large scale the square alone, in the second place, where published weights have it
            keep = [0, len(ratios), *range(1, len(ratios))]
            base_anchors.append(anchors[keep])
        return base_anchors


@PRIOR_GENERATORS.register_module()
class LegacyAnchorGenerator(AnchorGenerator):
    """Anchors as mmdetection 1.x had them: x2 and y2 are the last pixel, and corners are rounded."""

    def gen_single_level_base_anchors(
        self, base_size: float, scales: Tensor, ratios: Tensor, center: tuple[float, float] | None = None
    ) -> Tensor:
        """(A, 4) anchors of the first cell of a level, at whole pixels."""
        # version 1.x counted pixels: a box of side s that begins at 0 ended at s - 1
        center = center or (self.center_offset * (base_size - 1),) * 2
        widths, heights = anchor_sizes(base_size, scales, ratios, self.scale_major)
        return anchors_around(center, widths - 1, heights - 1).round()


@PRIOR_GENERATORS.register_module()
class LegacySSDAnchorGenerator(SSDAnchorGenerator, LegacyAnchorGenerator):
    """Anchors of SSD as mmdetection 1.x had them; see the two base classes."""

    def __init__(
        self,
        strides: Sequence[float | Pair],
        ratios: Sequence[Sequence[float]],
        basesize_ratio_range: tuple[float, float],
        input_size: int = 300,
        scale_major: bool = True,
    ) -> None:
        super().__init__(strides, ratios, None, None, basesize_ratio_range, input_size, scale_major)

    def level_centers(self) -> list[tuple[float, float]]:
        """(x, y) of the first cell's middle pixel, for each level."""
        return [((x - 1) / 2, (y - 1) / 2) for x, y in self.strides]


@PRIOR_GENERATORS.register_module()
class YOLOAnchorGenerator(AnchorGenerator):
    """Anchors of YOLO (https://arxiv.org/abs/1804.02767): listed sizes around the centre of each cell.

    Args:
        strides: stride of each level in px, a number or (x, y).
        base_sizes: for each level, (w, h) in px of its anchors.
    """

    def __init__(self, strides: Sequence[float | Pair], base_sizes: Sequence[Sequence[tuple[float, float]]]) -> None:
        self.strides = [_pair(stride) for stride in strides]
        self.centers = [(x / 2, y / 2) for x, y in self.strides]
        if len(base_sizes) != len(strides):
            raise ValueError(f'base_sizes has {len(base_sizes)} entries for {len(strides)} strides')
        self.base_sizes = [[_pair(size) for size in level] for level in base_sizes]
        self.base_anchors = self.gen_base_anchors()

    @property
    def num_levels(self) -> int:
        """Number of levels."""
        return len(self.base_sizes)

    def gen_base_anchors(self) -> list[Tensor]:
        """L tensors (A, 4): the anchors of the first cell of each level."""
        return [
            self.gen_single_level_base_anchors(sizes, center) for sizes, center in zip(self.base_sizes, self.centers)
        ]

    def gen_single_level_base_anchors(
        self, base_sizes_per_level: Sequence[tuple[float, float]], center: tuple[float, float] | None = None
    ) -> Tensor:
        """(A, 4) anchors of the listed (w, h) around one centre (x, y)."""
        widths, heights = torch.tensor(base_sizes_per_level, dtype=torch.float32).unbind(dim=1)
        return anchors_around(center or (0.0, 0.0), widths, heights)

    def responsible_flags(
        self, featmap_sizes: Sequence[Pair], gt_bboxes: Tensor, device: Device = 'cuda'
    ) -> list[Tensor]:
        """L tensors (h * w * A,) uint8: 1 for anchors whose cell holds the centre of one of the boxes (G, 4)."""
        check_num_levels(featmap_sizes, self.num_levels)
        return [
            self.single_level_responsible_flags(size, gt_bboxes, stride, num_base, device)
            for size, stride, num_base in zip(featmap_sizes, self.strides, self.num_base_priors)
        ]

    def single_level_responsible_flags(
        self, featmap_size: Pair, gt_bboxes: Tensor, stride: Pair, num_base_anchors: int, device: Device = 'cuda'
    ) -> Tensor:
        """(h * w * A,) uint8 of one level; see :meth:`responsible_flags`. Centres outside count in the border cell."""
        height, width = featmap_size
        centers = ((gt_bboxes[:, :2] + gt_bboxes[:, 2:4]) * 0.5).to(usable_device(device))
        columns = (centers[:, 0] / stride[0]).long().clamp(0, width - 1)
        rows = (centers[:, 1] / stride[1]).long().clamp(0, height - 1)
        flags = torch.zeros(height * width, dtype=torch.uint8, device=centers.device)
        flags[rows * width + columns] = 1
        return flags.repeat_interleave(num_base_anchors)
