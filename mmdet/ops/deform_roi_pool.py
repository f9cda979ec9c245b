"""Deformable pooling of RoIs (https://arxiv.org/abs/1703.06211) and its modulated kind (https://arxiv.org/abs/1811.11168).

It is RoIAlign with bins that are moved. Offsets are (n, 2, h, w), x before y, in widths and heights of the RoI.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.utils import _pair

from mmdet.ops.compiled import mmcv_class
from mmdet.ops.roi import roi_align


def deform_roi_pool(
    input: Tensor,
    rois: Tensor,
    offset: Tensor | None,
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    gamma: float = 0.1,
) -> Tensor:
    """Mean of bilinear samples in each bin of each RoI, the bins being moved by ``offset``.

    Args:
        input: features (N, C, H, W).
        rois: (n, 5), image index, then xyxy in image pixels.
        offset: (n, 2, h, w), or None or empty: the bins stay.
        output_size: bins (h, w).
        spatial_scale: feature cells per image pixel.
        sampling_ratio: samples along each axis of a bin; 0: as many as the bin has cells, rounded up.
        gamma: factor on the offsets.

    Returns:
        (n, C, h, w) in the dtype of ``input``; computed in float32 at least. Gradients flow to features and offsets.

    Raises:
        ValueError: wrong shapes.
    """
    size = _pair(output_size)
    if offset is None or not offset.numel():
        pooled = roi_align(input, rois, size, spatial_scale, sampling_ratio, 'avg', aligned=True)
        return pooled if offset is None else pooled + offset.sum().to(pooled)  # no RoI: the graph of offsets stays
    if offset.shape != (len(rois), 2, *size):
        raise ValueError(f'deform_roi_pool: expected offset {(len(rois), 2, *size)}, got {tuple(offset.shape)}')
    dtype = torch.float64 if input.dtype == torch.float64 else torch.float32
    with torch.autocast(input.device.type, enabled=False):
        return _pool_moved_bins(
            input.to(dtype), rois.detach().to(dtype), offset.to(dtype) * gamma, size, spatial_scale, sampling_ratio
        ).to(input.dtype)


def _pool_moved_bins(
    features: Tensor, rois: Tensor, offset: Tensor, size: tuple[int, int], spatial_scale: float, sampling_ratio: int
) -> Tensor:
    """The pooling, one image after the other: bilinear sampling reads one map."""
    image = rois[:, 0].long()
    order = image.argsort(stable=True)
    counts = (image[:, None] == torch.arange(len(features), device=image.device)).sum(0).tolist()
    corners = rois[:, 1:] * spatial_scale - 0.5  # cell centres lie at half-integer coordinates
    pooled = [
        _pool_image(feature, corners[part], offset[part], size, sampling_ratio)
        for feature, part in zip(features, order.split(counts))
    ]
    return torch.cat(pooled)[order.argsort()]


def _pool_image(feature: Tensor, corners: Tensor, offset: Tensor, size: tuple[int, int], sampling_ratio: int) -> Tensor:
    """RoIs (n, 4) xyxy in cells of one map (C, H, W) -> (n, C, h, w)."""
    start, extent = corners[:, :2], corners[:, 2:] - corners[:, :2]  # (n, 2), x before y
    bins = extent.new_tensor([size[1], size[0]])
    bin_size = extent / bins
    counts = torch.full_like(extent, sampling_ratio) if sampling_ratio > 0 else bin_size.ceil().clamp(min=0)
    roi, column, row = sample_grid(counts)
    # first corner of each bin, then the samples inside
    grid = torch.stack(torch.meshgrid(*(torch.arange(k, device=bins.device) for k in size), indexing='ij')[::-1])
    corner = (start[:, :, None, None] + bin_size[:, :, None, None] * grid) + offset * extent[:, :, None, None]
    inside_bin = (torch.stack([column, row], dim=1) + 0.5) * (bin_size / counts.clamp(min=1))[roi]
    position = corner[roi] + inside_bin[:, :, None, None]  # (S, 2, h, w)
    values = bilinear(feature, position.permute(0, 2, 3, 1).flatten(1, 2)[None])  # (C, S, h * w)
    weight = 1 / counts.prod(1).clamp(min=1)
    values = values.transpose(0, 1) * weight[roi][:, None, None]
    pooled = values.new_zeros(len(corners), feature.size(0), size[0] * size[1]).index_add(0, roi, values)
    return pooled.unflatten(2, size)


def sample_grid(counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Samples of a bin of each RoI, RoI after RoI: the RoI, the column and the row of each, (S,).

    Args:
        counts: (n, 2), columns and rows of samples; a RoI of no width or height has none.
    """
    columns, per_roi = counts[:, 0].long(), counts.prod(1).long()
    roi = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), per_roi)
    index = torch.arange(len(roi), device=counts.device) - (per_roi.cumsum(0) - per_roi)[roi]
    return roi, index % columns[roi], index // columns[roi]


def bilinear(feature: Tensor, position: Tensor) -> Tensor:
    """A map (C, H, W) at (1, S, B, 2) positions, x before y, in cells -> (C, S, B).

    Up to a cell outside the nearest border counts, further out is 0.
    """
    size = position.new_tensor([feature.size(2), feature.size(1)])
    inside = ((position >= -1) & (position <= size)).all(-1)  # (1, S, B)
    normalised = (2 * position + 1) / size - 1
    values = F.grid_sample(feature[None], normalised, mode='bilinear', padding_mode='border', align_corners=False)
    return (values * inside[:, None])[0]


class DeformRoIPool(mmcv_class('DeformRoIPool')):
    """:func:`deform_roi_pool` as a layer; its offsets are given to ``forward``."""

    def __init__(
        self,
        output_size: int | tuple[int, int],
        spatial_scale: float = 1.0,
        sampling_ratio: int = 0,
        gamma: float = 0.1,
    ) -> None:
        super().__init__()
        self.output_size = _pair(output_size)
        self.spatial_scale = float(spatial_scale)
        self.sampling_ratio = int(sampling_ratio)
        self.gamma = float(gamma)

    def _pool(self, input: Tensor, rois: Tensor, offset: Tensor | None = None) -> Tensor:
        return deform_roi_pool(
            input, rois, offset, self.output_size, self.spatial_scale, self.sampling_ratio, self.gamma
        )

    def forward(self, input: Tensor, rois: Tensor, offset: Tensor | None = None) -> Tensor:
        """Features (N, C, H, W), RoIs (n, 5) and offsets (n, 2, h, w) -> (n, C, h, w)."""
        return self._pool(input, rois, offset)


class DeformRoIPoolPack(DeformRoIPool, mmcv_class('DeformRoIPoolPack')):
    """Deformable pooling that predicts its offsets from the RoI pooled without them; it starts as RoIAlign.

    Args:
        output_size: bins (h, w).
        output_channels: channels of the features.
        deform_fc_channels: hidden width of the predictor. Default: 1024.
        spatial_scale, sampling_ratio, gamma: as of :func:`deform_roi_pool`.
    """

    def __init__(
        self,
        output_size: int | tuple[int, int],
        output_channels: int,
        deform_fc_channels: int = 1024,
        spatial_scale: float = 1.0,
        sampling_ratio: int = 0,
        gamma: float = 0.1,
    ) -> None:
        super().__init__(output_size, spatial_scale, sampling_ratio, gamma)
        self.output_channels = output_channels
        self.deform_fc_channels = deform_fc_channels
        bins = self.output_size[0] * self.output_size[1]
        self.offset_fc = nn.Sequential(
            nn.Linear(bins * output_channels, deform_fc_channels),
            nn.ReLU(inplace=True),
            nn.Linear(deform_fc_channels, deform_fc_channels),
            nn.ReLU(inplace=True),
            nn.Linear(deform_fc_channels, bins * 2),
        )
        _start_at_zero(self.offset_fc[-1])

    def forward(self, input: Tensor, rois: Tensor) -> Tensor:
        """Features (N, output_channels, H, W) and RoIs (n, 5) -> (n, output_channels, h, w).

        Raises:
            ValueError: the features have other channels.
        """
        return self._pool_at(self._still(input, rois), input, rois)

    def _still(self, input: Tensor, rois: Tensor) -> Tensor:
        """The RoIs pooled with bins in their places, (n, C * h * w)."""
        if input.size(1) != self.output_channels:
            raise ValueError(
                f'{type(self).__name__}: expected features of output_channels={self.output_channels}, '
                f'got {input.size(1)} channels'
            )
        return self._pool(input, rois).flatten(1)

    def _pool_at(self, still: Tensor, input: Tensor, rois: Tensor) -> Tensor:
        """The RoIs pooled with the bins that ``still`` asks for."""
        return self._pool(input, rois, self.offset_fc(still).view(len(rois), 2, *self.output_size))


class ModulatedDeformRoIPoolPack(DeformRoIPoolPack, mmcv_class('ModulatedDeformRoIPoolPack')):
    """As :class:`DeformRoIPoolPack`, and each bin is scaled by a predicted factor in [0, 1], at first one half."""

    def __init__(
        self,
        output_size: int | tuple[int, int],
        output_channels: int,
        deform_fc_channels: int = 1024,
        spatial_scale: float = 1.0,
        sampling_ratio: int = 0,
        gamma: float = 0.1,
    ) -> None:
        super().__init__(output_size, output_channels, deform_fc_channels, spatial_scale, sampling_ratio, gamma)
        bins = self.output_size[0] * self.output_size[1]
        self.mask_fc = nn.Sequential(
            nn.Linear(bins * output_channels, deform_fc_channels),
            nn.ReLU(inplace=True),
            nn.Linear(deform_fc_channels, bins),
            nn.Sigmoid(),
        )
        _start_at_zero(self.mask_fc[2])

    def forward(self, input: Tensor, rois: Tensor) -> Tensor:
        """Features (N, output_channels, H, W) and RoIs (n, 5) -> (n, output_channels, h, w)."""
        still = self._still(input, rois)
        mask = self.mask_fc(still).view(len(rois), 1, *self.output_size)
        return self._pool_at(still, input, rois) * mask


def _start_at_zero(layer: nn.Linear) -> None:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
