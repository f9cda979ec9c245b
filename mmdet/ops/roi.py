"""Pooling of regions of interest. RoIs are (n, 5): index of the image in the batch, x1, y1, x2, y2 in image pixels."""

from collections.abc import Sequence
from functools import reduce

import torch
import torchvision.ops
from mmcv.utils import deprecated_api_warning
from torch import Tensor, nn
from torch.nn.modules.utils import _pair

from mmdet.ops.compiled import mmcv_class
from mmdet.ops.roi_align_cpu import Geometry, Level, pays, roi_align_cpu
from mmdet.utils.running.replaceable import replaceable

_POOL_MODES = ('avg', 'max')
FAR_OUTSIDE = -1e5  # px; further than a cell from every map


def _full_precision(features: Tensor) -> Tensor:
    """Half precision becomes float32 (coordinates of large maps do not fit in half); others stay."""
    return features.float() if features.dtype in (torch.float16, torch.bfloat16) else features


def _check_rois(rois: Tensor) -> None:
    if rois.ndim != 2 or rois.size(1) != 5:
        raise ValueError(f'RoIs must be (n, 5): batch index, x1, y1, x2, y2; got {tuple(rois.shape)}')


@replaceable
def roi_align(
    input: Tensor,
    rois: Tensor,
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    pool_mode: str = 'avg',
    aligned: bool = True,
) -> Tensor:
    """Pool each RoI into a grid of bins from bilinear samples (RoIAlign, arXiv:1703.06870).

    Args:
        input: features (N, C, H, W).
        rois: (n, 5).
        output_size: bins (h, w).
        spatial_scale: feature cells per image pixel.
        sampling_ratio: samples along each axis of a bin; 0: as many as the bin has cells, rounded up.
        pool_mode: ``'avg'`` or ``'max'`` over the samples of a bin.
        aligned: cell centres lie at half-integer coordinates; False: the old way, half a cell off and with
            RoIs of at least one cell.

    Returns:
        (n, C, h, w) in the dtype of ``input``; computed in float32 at least.

    Raises:
        ValueError: wrong shape of ``rois``, unknown ``pool_mode``.
    """
    _check_rois(rois)
    if pool_mode not in _POOL_MODES:
        raise ValueError(f'roi_align: pool_mode must be one of {_POOL_MODES}, got {pool_mode!r}')
    features = _full_precision(input)
    rois = rois.to(features.dtype)
    geometry = Geometry(_pair(output_size), spatial_scale, max(sampling_ratio, 0), aligned)
    if pool_mode == 'max':
        pooled = _roi_align_max(features, rois, *geometry)
    else:
        levels = [Level(features, torch.arange(len(rois)), geometry)] if features.device.type == 'cpu' else []
        joint = pays(levels, rois)
        pooled = roi_align_cpu(levels, rois) if joint else torchvision.ops.roi_align(features, rois, *geometry)
    return pooled.to(input.dtype)


def _roi_align_max(
    features: Tensor,
    rois: Tensor,
    output_size: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """Greatest sample of each bin; the gradient goes to that sample alone."""
    batch = rois[:, 0].long()
    shift = 0.5 if aligned else 0.0
    start, end = rois[:, 1:].mul(spatial_scale).sub(shift).split(2, dim=1)  # x, y
    # the old form makes RoIs at least one cell large; the new one may leave them without a sample, which gives 0
    size = end - start if aligned else (end - start).clamp(min=1)
    xs, x_used = _sample_positions(start[:, 0], size[:, 0], output_size[1], sampling_ratio)
    ys, y_used = _sample_positions(start[:, 1], size[:, 1], output_size[0], sampling_ratio)
    candidates = [
        # -inf and not 0 for samples that a RoI does not have: all of its features may be negative
        _bilinear(features, batch, y, x).masked_fill(~(y_ok & x_ok)[:, None, None, None], -torch.inf)
        for y, y_ok in zip(ys, y_used)
        for x, x_ok in zip(xs, x_used)
    ]
    if not candidates:
        # attached to the features: another process of the run waits for their gradient
        return features.new_zeros(len(rois), features.size(1), *output_size) + features.sum() * 0
    best = torch.stack(candidates).max(0).values
    return torch.where(best == -torch.inf, best.new_zeros(()), best)  # a RoI without samples


def _sample_positions(start: Tensor, size: Tensor, bins: int, ratio: int) -> tuple[list[Tensor], list[Tensor]]:
    """Along one axis: for the i-th sample of a bin, positions (n, bins) and which RoIs (n,) have that sample."""
    bin_size = size / bins
    counts = torch.full_like(size, ratio) if ratio > 0 else bin_size.ceil().clamp(min=0)
    most = ratio if ratio > 0 else int(counts.max()) if len(counts) else 0
    edges = start[:, None] + torch.arange(bins, device=start.device) * bin_size[:, None]
    step = (bin_size / counts.clamp(min=1))[:, None]
    return [edges + (i + 0.5) * step for i in range(most)], [counts > i for i in range(most)]


def _bilinear(features: Tensor, batch: Tensor, ys: Tensor, xs: Tensor) -> Tensor:
    """Features at (n, h) x (n, w) positions of image ``batch[n]`` -> (n, C, h, w); zero further than a cell outside."""
    height, width = features.shape[-2:]
    y_low, y_high, y_frac, y_in = _neighbours(ys, height)
    x_low, x_high, x_frac, x_in = _neighbours(xs, width)
    maps = features.permute(0, 2, 3, 1)  # (N, H, W, C), so that indexing gives (n, h, w, C)
    at = batch[:, None, None]
    y_low, y_high, x_low, x_high = y_low[:, :, None], y_high[:, :, None], x_low[:, None], x_high[:, None]
    y_frac, x_frac = y_frac[:, :, None, None], x_frac[:, None, :, None]
    top = maps[at, y_low, x_low] * (1 - x_frac) + maps[at, y_low, x_high] * x_frac
    bottom = maps[at, y_high, x_low] * (1 - x_frac) + maps[at, y_high, x_high] * x_frac
    inside = (y_in[:, :, None] & x_in[:, None])[..., None]
    return ((top * (1 - y_frac) + bottom * y_frac) * inside).permute(0, 3, 1, 2)


def _neighbours(position: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Lower and upper cell of each position, the part of the upper one, and whether it counts as inside."""
    # before the clamp: up to a cell outside a sample reads the border, further out it counts 0, as in the CUDA kernels
    inside = (position >= -1) & (position <= size)
    position = position.clamp(0, size - 1)
    low = position.floor()
    return low.long(), (low + 1).clamp(max=size - 1).long(), position - low, inside


def roi_pool(input: Tensor, rois: Tensor, output_size: int | tuple[int, int], spatial_scale: float = 1.0) -> Tensor:
    """Greatest feature of each bin of each RoI, corners rounded to whole cells (RoIPool, arXiv:1504.08083).

    Args:
        input: features (N, C, H, W).
        rois: (n, 5).
        output_size: bins (h, w).
        spatial_scale: feature cells per image pixel.

    Returns:
        (n, C, h, w) in the dtype of ``input``.

    Raises:
        ValueError: wrong shape of ``rois``.
    """
    _check_rois(rois)
    features = _full_precision(input)
    pooled = torchvision.ops.roi_pool(features, rois.to(features.dtype), _pair(output_size), spatial_scale)
    return pooled.to(input.dtype)


class RoIAlign(mmcv_class('RoIAlign')):
    """:func:`roi_align` as a layer; ``use_torchvision`` is accepted for old configs and changes nothing."""

    @deprecated_api_warning({'out_size': 'output_size', 'sample_num': 'sampling_ratio'}, cls_name='RoIAlign')
    def __init__(
        self,
        output_size: int | tuple[int, int],
        spatial_scale: float = 1.0,
        sampling_ratio: int = 0,
        pool_mode: str = 'avg',
        aligned: bool = True,
        use_torchvision: bool = False,
    ) -> None:
        super().__init__()
        self.output_size = _pair(output_size)
        self.spatial_scale = float(spatial_scale)
        self.sampling_ratio = int(sampling_ratio)
        self.pool_mode = pool_mode
        self.aligned = aligned
        self.use_torchvision = use_torchvision

    def geometry(self) -> Geometry | None:
        """Where the samples lie; None where they are not averaged."""
        settings = (self.output_size, self.spatial_scale, max(self.sampling_ratio, 0), self.aligned)
        return Geometry(*settings) if self.pool_mode == 'avg' else None

    def forward(self, input: Tensor, rois: Tensor) -> Tensor:
        """Features (N, C, H, W) and RoIs (n, 5) -> (n, C, h, w)."""
        return roi_align(
            input, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.pool_mode, self.aligned
        )

    def extra_repr(self) -> str:
        return (
            f'output_size={self.output_size}, spatial_scale={self.spatial_scale}, '
            f'sampling_ratio={self.sampling_ratio}, pool_mode={self.pool_mode!r}, aligned={self.aligned}'
        )


class RoIPool(mmcv_class('RoIPool')):
    """:func:`roi_pool` as a layer."""

    def __init__(self, output_size: int | tuple[int, int], spatial_scale: float = 1.0) -> None:
        super().__init__()
        self.output_size = _pair(output_size)
        self.spatial_scale = float(spatial_scale)

    def forward(self, input: Tensor, rois: Tensor) -> Tensor:
        """Features (N, C, H, W) and RoIs (n, 5) -> (n, C, h, w)."""
        return roi_pool(input, rois, self.output_size, self.spatial_scale)

    def extra_repr(self) -> str:
        return f'output_size={self.output_size}, spatial_scale={self.spatial_scale}'


@replaceable
def pool_from_levels(
    layers: Sequence[nn.Module], feats: Sequence[Tensor], rois: Tensor, levels: Tensor, static_shapes: bool = False
) -> Tensor:
    """Pool each RoI from its feature map.

    Args:
        layers: a pooling layer for each of L levels, such as :class:`RoIAlign`.
        feats: L feature maps (N, C, H_l, W_l).
        rois: (n, 5); n may be 0.
        levels: (n,) int64 in ``[0, L)``.
        static_shapes: the host does not wait for a GPU to know how many RoIs a level has; L times as many
            values are written.

    Returns:
        (n, C, h, w), attached to every feature map, also to those that no RoI falls on.
    """
    if feats[0].device.type == 'cpu' and (pooled := _roi_align_levels(layers, feats, rois, levels)) is not None:
        return pooled
    if static_shapes and all(type(layer) in (RoIAlign, RoIPool) for layer in layers):
        return _pool_everywhere(layers, feats, rois, levels)
    # sorted by level, all levels are cut out with one look at the device; a mask for each level costs one look each
    order = levels.argsort()
    counts = (levels[:, None] == torch.arange(len(feats), device=levels.device)).sum(0).tolist()
    parts = [layer(feat, part) for layer, feat, part in zip(layers, feats, rois[order].split(counts))]
    return torch.cat(parts)[order.argsort()]


def _pool_everywhere(layers: Sequence[nn.Module], feats: Sequence[Tensor], rois: Tensor, levels: Tensor) -> Tensor:
    """All RoIs from all levels; those of other levels lie far outside of the map, where they get zeros."""
    outside = torch.cat([rois[:, :1], torch.full_like(rois[:, 1:], FAR_OUTSIDE)], 1)
    return reduce(
        torch.add,
        (
            layer(feat, torch.where((levels == i)[:, None], rois, outside))
            for i, (layer, feat) in enumerate(zip(layers, feats))
        ),
    )


def _roi_align_levels(
    layers: Sequence[nn.Module], feats: Sequence[Tensor], rois: Tensor, levels: Tensor
) -> Tensor | None:
    """All levels in one step on a CPU, which spares copies of what is pooled; None where that cannot be or not pay."""
    geometries = [layer.geometry() if type(layer) is RoIAlign else None for layer in layers]
    if None in geometries or len({(geometry.output_size, feat.dtype) for geometry, feat in zip(geometries, feats)}) > 1:
        return None
    if any(layer._forward_hooks or layer._forward_pre_hooks for layer in layers):
        return None
    _check_rois(rois)
    maps = [_full_precision(feat) for feat in feats]
    rois = rois.to(maps[0].dtype)
    chosen = [(levels == i).nonzero().squeeze(1) for i in range(len(maps))]
    parts = [Level(*level) for level in zip(maps, chosen, geometries)]
    return roi_align_cpu(parts, rois).to(feats[0].dtype) if pays(parts, rois) else None
