"""RoIAlign on the CPU by all threads: the mean over a bin's samples is a sparse row of weights on feature cells.

torchvision's CPU kernel walks over RoIs, channels, bins and samples in one thread. Here the weights of all bins are
written down once, as a sparse matrix with a row for each bin and a column for each cell of the maps; the forward pass
multiplies it with the cells' feature vectors and the backward pass multiplies its transpose with the gradients. Both
products are ``embedding_bag``, which runs over all threads and adds whole vectors of channels. Weights of samples
that fall on the same cell are merged first, along each axis by itself.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from scipy.sparse import csr_matrix
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

# So many weights are written down at once, those that turn out to be zero included: about 200 MB at the most.
MAX_WEIGHTS = 8_000_000
# The maps are brought into the order (N, H, W, C) first, so there must be a bin for this fraction of their cells.
LEAST_BINS_PER_CELL = 1 / 16
LEAST_CHANNELS = 16
CACHED_VALUES = 2**19  # of pooled features, for each thread
LEAST_VALUES_WITHOUT_GRADIENT = 2**21  # of the result; torchvision's forward pass alone has less to lose


class Geometry(NamedTuple):
    """How RoIs are cut into bins and bins into samples; the arguments of :func:`mmdet.ops.roi_align`."""

    output_size: tuple[int, int]  # h, w
    spatial_scale: float
    sampling_ratio: int
    aligned: bool


class SparseRows(NamedTuple):
    """Rows of a sparse matrix, one a bin: weights ``values[offsets[i] : offsets[i + 1]]`` of the columns ``cells``."""

    offsets: Tensor  # (rows + 1,) int32
    cells: Tensor  # (entries,) int32
    values: Tensor  # (entries,) float

    def part(self, start: int, stop: int) -> 'SparseRows':
        """Rows ``start`` to ``stop``."""
        offsets = self.offsets[start : stop + 1]
        first, last = int(offsets[0]), int(offsets[-1])
        return SparseRows(offsets - first, self.cells[first:last], self.values[first:last])

    def transposed(self, num_cells: int) -> 'SparseRows':
        """The same matrix with a row for each of ``num_cells`` cells."""
        arrays = (self.values.numpy(), self.cells.numpy(), self.offsets.numpy())
        columns = csr_matrix(arrays, shape=(len(self.offsets) - 1, num_cells)).tocsc()
        return SparseRows(*(torch.from_numpy(a) for a in (columns.indptr, columns.indices, columns.data)))

    def product(self, vectors: Tensor) -> Tensor:
        """Times ``vectors`` (columns, C) -> (rows, C)."""
        return functional.embedding_bag(
            self.cells, vectors, self.offsets, mode='sum', per_sample_weights=self.values, include_last_offset=True
        )


class Level(NamedTuple):
    """One feature map, and which RoIs are pooled from it."""

    features: Tensor  # (N, C, H, W)
    chosen: Tensor  # (k,) int64, increasing rows of the RoIs
    geometry: Geometry  # output_size is the same for all levels


def pays(levels: Sequence[Level], rois: Tensor) -> bool:
    """Whether :func:`roi_align_cpu` can take these arguments and is expected to be faster than torchvision."""
    bins, values = 0, 0
    for features, chosen, geometry in levels:
        num, channels, height, width = features.shape
        if features.device.type != 'cpu' or channels < LEAST_CHANNELS:
            return False
        cells, level_bins = num * height * width, len(chosen) * math.prod(geometry.output_size)
        in_order = features.is_contiguous(memory_format=torch.channels_last)
        if level_bins and (not cells or not in_order and level_bins < cells * LEAST_BINS_PER_CELL):
            return False
        if max(cells, level_bins) >= 2**31:
            return False
        bins, values = bins + level_bins, values + level_bins * channels
    trains = torch.is_grad_enabled() and any(level.features.requires_grad for level in levels)
    if not bins or not trains and values < LEAST_VALUES_WITHOUT_GRADIENT:
        return False
    # RoIs that are not finite, of a diverged training, are left to torchvision as well
    return bool(rois.abs().max() < 2**20)


def roi_align_cpu(levels: Sequence[Level], rois: Tensor) -> Tensor:
    """Mean of the samples of each bin, each RoI from its level.

    Args:
        levels: maps (N, C, H_l, W_l) of one dtype, float32 or float64, on the CPU; each RoI is chosen by one of them.
        rois: (n, 5) of the same dtype, finite, n > 0; no gradient flows to them.

    Returns:
        (n, C, h, w), contiguous.
    """
    chosen, geometries = [level.chosen for level in levels], [level.geometry for level in levels]
    return _RoIAlign.apply(rois.detach(), chosen, geometries, *(level.features for level in levels))


class _RoIAlign(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rois: Tensor, chosen: list[Tensor], geometries: list[Geometry], *maps: Tensor) -> Tensor:
        pooled = maps[0].new_empty(len(rois), maps[0].size(1), *geometries[0].output_size)
        ctx.maps, saved = [MapLayout.of(features) for features in maps], []
        for rows, features, geometry in zip(chosen, maps, geometries):
            num, _, *size = features.shape
            # image by image, for the backward pass
            rows = rows[rois[rows, 0].argsort(stable=True)]
            if len(rows):
                weights = bin_weights(rois[rows], num, size, geometry)
                _write_rows(pooled, rows, weights, _vectors(features.detach()))
                saved += [rows, rois[rows, 0].long().bincount(minlength=num), *weights]
        ctx.save_for_backward(*saved)
        ctx.used = [len(rows) > 0 for rows in chosen]
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        saved, grads = iter(ctx.saved_tensors), []
        for layout, used in zip(ctx.maps, ctx.used):
            if used:
                rows, counts, *weights = (next(saved) for _ in range(5))
                grads.append(_gradient_of_maps(grad, rows, counts.tolist(), SparseRows(*weights), layout))
            else:  # zeros and not None, so that no parameter behind this map is left out
                grads.append(grad.new_zeros(layout.shape))
        return None, None, None, *grads


class MapLayout(NamedTuple):
    """Shape of feature maps (N, C, H, W), and the order in memory."""

    shape: torch.Size
    order: torch.memory_format

    @classmethod
    def of(cls, maps: Tensor) -> 'MapLayout':
        """The layout of ``maps``."""
        last = not maps.is_contiguous() and maps.is_contiguous(memory_format=torch.channels_last)
        return cls(maps.shape, torch.channels_last if last else torch.contiguous_format)


def _gradient_of_maps(grad: Tensor, rows: Tensor, counts: list[int], weights: SparseRows, layout: MapLayout) -> Tensor:
    """Gradient of one level, image by image: a copy of all RoIs' gradients in another order would need much memory.

    Args:
        grad: (n, C, h, w).
        rows: (k,) of the RoIs of this level, sorted by image.
        counts: how many of them each image has.
        weights: of their bins.
        layout: of the result.
    """
    _, channels, height, width = layout.shape
    maps = torch.empty(layout.shape, dtype=grad.dtype, memory_format=layout.order)
    bins, first = grad.size(2) * grad.size(3), 0
    for i, count in enumerate(counts):
        if not count:
            maps[i].zero_()
            continue
        part = weights.part(first * bins, (first + count) * bins)
        part = part._replace(cells=part.cells - i * height * width).transposed(height * width)
        _write_map(maps[i], part.product(_gathered_vectors(grad, rows[first : first + count])))
        first += count
    return maps


def _write_map(into: Tensor, vectors: Tensor) -> None:
    """(H * W, C) into a map (C, H, W)."""
    into.copy_(vectors.view(*into.shape[1:], len(into)).permute(2, 0, 1))


def _gathered_vectors(grad: Tensor, rows: Tensor) -> Tensor:
    """``rows`` (k,) of (n, C, h, w) -> (k * h * w, C)."""
    _, channels, height, width = grad.shape
    vectors = grad.new_empty(len(rows), height, width, channels)
    step = _rois_at_once(grad)
    for some, into in zip(rows.split(step), vectors.split(step)):
        into.copy_(grad[some].permute(0, 2, 3, 1))
    return vectors.view(-1, channels)


def _rois_at_once(pooled: Tensor) -> int:
    """How many RoIs of ``pooled`` (n, C, h, w) fit in the processor's cache."""
    return max(1, CACHED_VALUES * torch.get_num_threads() // math.prod(pooled.shape[1:]))


def _write_rows(pooled: Tensor, rows: Tensor, weights: SparseRows, vectors: Tensor) -> None:
    """Write pooled features of one level into its ``rows`` of ``pooled``.

    Block of RoIs after block: the products then stay in the processor's cache until they stand in the order (C, h, w).
    """
    _, channels, height, width = pooled.shape
    bins = height * width
    step = _rois_at_once(pooled)
    for i in range(0, len(rows), step):
        part = rows[i : i + step]
        product = weights.part(i * bins, (i + len(part)) * bins).product(vectors)
        pooled.index_copy_(0, part, product.view(-1, height, width, channels).permute(0, 3, 1, 2))


def _vectors(maps: Tensor) -> Tensor:
    """(N, C, H, W) -> (N * H * W, C)."""
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.size(1))


def bin_weights(rois: Tensor, num_maps: int, map_size: tuple[int, int], geometry: Geometry) -> SparseRows:
    """The matrix of all bins, (n * h * w) rows and ``num_maps * H * W`` columns.

    Args:
        rois: (n, 5).
        num_maps: N.
        map_size: H, W.
        geometry: bins and samples.
    """
    scaled = rois[:, 1:] * geometry.spatial_scale - (0.5 if geometry.aligned else 0.0)
    size = scaled[:, 2:] - scaled[:, :2]
    if not geometry.aligned:
        size = size.clamp(min=1)
    bins_h, bins_w = geometry.output_size
    # no bin lies over more cells than it has samples or than it is long, rounded up, and one more
    reach = (size / size.new_tensor([bins_w, bins_h])).max().ceil().clamp(min=geometry.sampling_ratio)
    step = max(1, int(MAX_WEIGHTS / (bins_h * bins_w * (reach + 1) ** 2)))
    batch = rois[:, 0].long()
    parts = [
        _bin_weights(batch[i : i + step], scaled[i : i + step, :2], size[i : i + step], map_size, geometry)
        for i in range(0, len(rois), step)
    ]
    cells, values, counts = (torch.cat(part) for part in zip(*parts))
    offsets = functional.pad(counts.cumsum(0), (1, 0)).int()
    return SparseRows(offsets, cells, values)


def _bin_weights(
    batch: Tensor, start: Tensor, size: Tensor, map_size: tuple[int, int], geometry: Geometry
) -> tuple[Tensor, Tensor, Tensor]:
    """Of RoIs with corners ``start`` and ``size`` (n, 2; x, y, in cells): cells, values, entries of each bin."""
    height, width = map_size
    bins_h, bins_w = geometry.output_size
    x_weights, xs = axis_weights(start[:, 0], size[:, 0], bins_w, geometry.sampling_ratio, width)
    y_weights, ys = axis_weights(start[:, 1], size[:, 1], bins_h, geometry.sampling_ratio, height)
    values = y_weights[:, :, None, :, None] * x_weights[:, None, :, None, :]  # (n, h, w, cells down, cells across)
    # int32 holds them, as pays() has checked, and halves what the product reads
    lines = (batch[:, None, None].int() * height + ys) * width
    cells = lines[:, :, None, :, None] + xs[:, None, :, None, :]
    bins = values.flatten(0, 2).flatten(1)
    # at borders and in small bins many weights are 0: the product reads a whole vector for each that stays
    used = bins.flatten().nonzero().squeeze(1)
    return cells.flatten()[used], bins.flatten()[used], bins.count_nonzero(1)


def axis_weights(start: Tensor, size: Tensor, bins: int, ratio: int, cells: int) -> tuple[Tensor, Tensor]:
    """Along one axis: the weights of the cells under each bin, summed over its samples.

    Args:
        start: (n,) where each RoI begins, in cells; cell i has its centre at i.
        size: (n,) extent of each RoI in cells.
        bins: b.
        ratio: samples of a bin; 0: as many as it has cells, rounded up.
        cells: of the map. A sample further than a cell outside counts nothing, one nearer the border cell.

    Returns:
        Weights (n, b, m), whose sum over m is the fraction of samples that count; int32 numbers of the cells (n, b, m).
    """
    bin_size = (size / bins)[:, None, None]
    counts = torch.full_like(bin_size, ratio) if ratio > 0 else bin_size.ceil().clamp(min=0)
    samples = torch.arange(int(counts.max()))
    positions = start[:, None, None] + torch.arange(bins)[:, None] * bin_size
    positions = positions + (samples + 0.5) * (bin_size / counts.clamp(min=1))
    counted = (samples < counts) & (positions >= -1) & (positions <= cells)
    fraction = counted.to(start.dtype) / counts.clamp(min=1)
    positions = positions.clamp(0, cells - 1)
    low = positions.floor()
    upper_fraction = (positions - low) * fraction
    first = low.amin(-1, keepdim=True) if len(samples) else positions  # a RoI of negative size runs backwards
    place = (low - first).long()
    reach = int(place.max()) + 2 if place.numel() else 0
    weights = start.new_zeros(*place.shape[:2], reach)
    # bilinear: a sample shares its fraction between the cell at its left and the one at its right
    weights.scatter_add_(2, place, fraction - upper_fraction)
    weights.scatter_add_(2, place + 1, upper_fraction)
    numbers = (first.int() + torch.arange(reach, dtype=torch.int32)).clamp(max=cells - 1)
    return weights, numbers
