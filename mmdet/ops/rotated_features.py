"""Features of rotated boxes: pooled, realigned, and filters that are turned.

RoIs are (n, 6): index of the image in the batch, then a rotated box (see :mod:`mmdet.ops.rotated`) in image pixels.
Here angles are counter-clockwise to the eye unless ``clockwise`` is given, as mmcv has it for pooling.
"""

import torch
from torch import Tensor
from torch.nn.modules.utils import _pair

from mmdet.ops.compiled import mmcv_class
from mmdet.ops.deform_roi_pool import bilinear, sample_grid
from mmdet.ops.rotated import rotated_corners


def roi_align_rotated(
    input: Tensor,
    rois: Tensor,
    output_size: int | tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int = 0,
    aligned: bool = True,
    clockwise: bool = False,
) -> Tensor:
    """RoIAlign of rotated boxes: the mean of bilinear samples in each bin, the grid of bins turned with the box.

    Args:
        input: features (N, C, H, W).
        rois: (n, 6).
        output_size: bins (h, w).
        spatial_scale: feature cells per image pixel.
        sampling_ratio: samples along each axis of a bin; 0: as many as the bin has cells, rounded up.
        aligned: cell centres lie at half-integer coordinates; False: the old way, with boxes of at least one cell.
        clockwise: direction of the angles.

    Returns:
        (n, C, h, w) in the dtype of ``input``; computed in float32 at least. No gradient for ``rois``.

    Raises:
        ValueError: wrong shape of ``rois``.
    """
    if rois.ndim != 2 or rois.size(1) != 6:
        raise ValueError(f'RoIs must be (n, 6): batch index, x, y, width, height, angle; got {tuple(rois.shape)}')
    dtype = torch.float64 if input.dtype == torch.float64 else torch.float32
    features, boxes = input.to(dtype), rois[:, 1:].detach().to(dtype)
    boxes = torch.cat([boxes[:, :4] * spatial_scale, boxes[:, 4:] if clockwise else -boxes[:, 4:]], 1)
    if aligned:
        boxes = boxes - boxes.new_tensor([0.5, 0.5, 0, 0, 0])
    else:
        boxes = boxes.max(boxes.new_tensor([-torch.inf, -torch.inf, 1, 1, -torch.inf]))
    # one image after the other: bilinear sampling reads one map
    order = rois[:, 0].argsort(stable=True)
    counts = rois[:, 0].long().bincount(minlength=len(features)).tolist()
    parts = zip(features, boxes[order].split(counts), strict=True)
    pooled = [_pool_image(feature, part, _pair(output_size), sampling_ratio) for feature, part in parts]
    return torch.cat(pooled)[order.argsort()].to(input.dtype)


def _pool_image(feature: Tensor, boxes: Tensor, size: tuple[int, int], sampling_ratio: int) -> Tensor:
    """Boxes (n, 5), clockwise, in cells of one map (C, H, W) -> (n, C, h, w)."""
    extent = boxes[:, 2:4]
    bins = extent.new_tensor([size[1], size[0]])
    bin_size = extent / bins
    counts = torch.full_like(extent, sampling_ratio) if sampling_ratio > 0 else bin_size.ceil().clamp(min=0)
    roi, column, row = sample_grid(counts)
    grid = torch.stack(torch.meshgrid(*(torch.arange(k, device=bins.device) for k in size), indexing='ij')[::-1], -1)
    inside_bin = (torch.stack([column, row], 1) + 0.5) / counts.clamp(min=1)[roi]  # (S, 2) in bins
    # (S, h * w, 2): from the middle of the box, along its sides
    x, y = ((grid.flatten(0, 1) + inside_bin[:, None] - bins / 2) * bin_size[roi][:, None]).unbind(-1)
    cos, sin = boxes[roi, 4, None].cos(), boxes[roi, 4, None].sin()
    position = boxes[roi, None, :2] + torch.stack([x * cos - y * sin, x * sin + y * cos], -1)
    values = bilinear(feature, position[None]).transpose(0, 1)  # (S, C, h * w)
    values = values / counts.prod(1).clamp(min=1)[roi][:, None, None]
    return values.new_zeros(len(boxes), feature.size(0), size[0] * size[1]).index_add(0, roi, values).unflatten(2, size)


class RoIAlignRotated(mmcv_class('RoIAlignRotated')):
    """:func:`roi_align_rotated` as a layer."""

    def __init__(
        self,
        output_size: int | tuple[int, int],
        spatial_scale: float,
        sampling_ratio: int = 0,
        aligned: bool = True,
        clockwise: bool = False,
    ) -> None:
        super().__init__()
        self.output_size = _pair(output_size)
        self.spatial_scale = float(spatial_scale)
        self.sampling_ratio = int(sampling_ratio)
        self.aligned = aligned
        self.clockwise = clockwise

    def forward(self, input: Tensor, rois: Tensor) -> Tensor:
        """Features (N, C, H, W) and RoIs (n, 6) -> (n, C, h, w)."""
        settings = self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned, self.clockwise
        return roi_align_rotated(input, rois, *settings)

    def extra_repr(self) -> str:
        return (
            f'output_size={self.output_size}, spatial_scale={self.spatial_scale}, '
            f'sampling_ratio={self.sampling_ratio}, aligned={self.aligned}, clockwise={self.clockwise}'
        )


def rotated_feature_align(
    features: Tensor, best_rbboxes: Tensor, spatial_scale: float = 1 / 8, points: int = 1
) -> Tensor:
    """Add to each cell the features at the middle, and with 5 points at the corners, of the box that it predicts.

    Args:
        features: (N, C, H, W).
        best_rbboxes: (N, H, W, 5) in image pixels, clockwise; as in mmcv y stands before x.
        spatial_scale: feature cells per image pixel; the middle of cell (i, j) lies at (j, i).
        points: 1 or 5.

    Returns:
        (N, C, H, W). No gradient for the boxes.

    Raises:
        ValueError: another number of points.
    """
    if points not in (1, 5):
        raise ValueError(f'rotated_feature_align: points must be 1 or 5, got {points}')
    boxes = best_rbboxes.detach()[..., [1, 0, 2, 3, 4]].flatten(1, 2)  # (N, H * W, 5)
    boxes = torch.cat([boxes[..., :4] * spatial_scale, boxes[..., 4:]], -1)
    places = boxes[..., None, :2]
    if points == 5:
        places = torch.cat([places, rotated_corners(boxes)], -2)  # (N, H * W, points, 2)
    read = torch.stack([bilinear(feature, at[None]).sum(-1) for feature, at in zip(features, places)])
    return features + read.view_as(features)


def active_rotated_filter(input: Tensor, indices: Tensor) -> Tensor:
    """Turn the filters of a layer (Oriented Response Networks, https://arxiv.org/abs/1701.01833).

    Args:
        input: (O, I, D, h, w), D orientations.
        indices: (D, h, w, R) int, from 1 on: the place of each entry of a filter after each of R turns.

    Returns:
        (O * R, I * D, h, w).
    """
    num_out, num_in, *entry = input.shape
    turns = indices.flatten(0, 2).t().long() - 1  # (R, D * h * w)
    sources = turns.argsort(1)  # each turn is a permutation: which entry comes to a place
    return input.flatten(2)[:, :, sources].transpose(1, 2).reshape(num_out * len(turns), num_in * entry[0], *entry[1:])


def chamfer_distance(xyz1: Tensor, xyz2: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Squared distances of each point to the nearest of another set of points.

    Args:
        xyz1: (B, N, 2).
        xyz2: (B, M, 2).

    Returns:
        (B, N) and (B, M) squared distances, and the indices (int32) of the nearest points.
    """
    squared = (xyz1[:, :, None] - xyz2[:, None]).square().sum(-1)
    (first, to_first), (second, to_second) = squared.min(2), squared.min(1)
    return first, second, to_first.int(), to_second.int()
