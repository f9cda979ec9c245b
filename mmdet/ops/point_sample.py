"""Reading maps at points, and pooling of RoIs by such points (PointRend, arXiv:1912.08193).

Points of a RoI are (x, y) in [0, 1] of it, (0, 0) its upper left corner.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules.utils import _pair

from mmdet.ops.compiled import mmcv_class
from mmdet.utils.running.replaceable import replaceable


def points_in_image(rois: Tensor, rel_points: Tensor) -> Tensor:
    """Points of RoIs as points of the image.

    Args:
        rois: (n, 4), or (n, 5) with the image index first; xyxy px.
        rel_points: (n, P, 2) in [0, 1] of each RoI.

    Returns:
        (n, P, 2) x and y, px.
    """
    low, high = rois[:, None, -4:-2], rois[:, None, -2:]
    return low + rel_points * (high - low)


@replaceable
def read_at_points(
    maps: Tensor, images: Tensor, points: Tensor, spatial_scale: float = 1.0, align_corners: bool = False
) -> Tensor:
    """Bilinear values of feature maps at the points of each RoI; zero outside.

    Args:
        maps: (N, C, H, W).
        images: (n,) long, which map each RoI reads.
        points: (n, P, 2) x and y, px of the image.
        spatial_scale: cells of the map per px.
        align_corners: False: the middle of cell (i, j) lies at (j + 0.5, i + 0.5) cells; True: the map is shrunk so
            that its outer cells have their middles on its edges.

    Returns:
        (n, C, P) in the dtype of ``maps``; computed in float32 at least.
    """
    dtype = torch.promote_types(maps.dtype, torch.float32)
    size = torch.tensor([maps.size(3), maps.size(2)], dtype=dtype, device=maps.device)
    grid = points.to(dtype) * spatial_scale / size * 2 - 1
    out = torch.zeros(points.size(0), maps.size(1), points.size(1), dtype=dtype, device=maps.device)
    for i, feature in enumerate(maps):  # one sampling grid for each image: its map is not copied for each RoI
        rows = (images == i).nonzero().squeeze(1)
        values = F.grid_sample(feature[None].to(dtype), grid[None, rows], align_corners=align_corners)[0]
        out = out.index_copy(0, rows, values.transpose(0, 1))  # (C, n_i, P) -> (n_i, C, P)
    return out.to(maps.dtype)


def read_masks_at_points(masks: Tensor, rows: Tensor, points: Tensor) -> Tensor:
    """Bilinear values of masks at points; zero outside. It has no gradient.

    Args:
        masks: (G, H, W), any dtype.
        rows: (n,) long, which mask each set of points reads.
        points: (n, P, 2) x and y, px; the middle of pixel (i, j) lies at (j + 0.5, i + 0.5).

    Returns:
        (n, P), of the dtype of ``points``.
    """
    height, width = masks.shape[1:]
    first = (points - 0.5).floor()
    x_share, y_share = (points - 0.5 - first).unbind(2)
    x0, y0 = first.long().unbind(2)
    values = torch.zeros_like(x_share)
    for y, y_part in ((y0, 1 - y_share), (y0 + 1, y_share)):
        for x, x_part in ((x0, 1 - x_share), (x0 + 1, x_share)):
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            cells = masks[rows[:, None], y.clamp(0, height - 1), x.clamp(0, width - 1)]
            values += cells * inside * y_part * x_part
    return values


def rel_roi_point_to_rel_img_point(
    rois: Tensor, rel_roi_points: Tensor, img: tuple[int, int] | Tensor, spatial_scale: float = 1.0
) -> Tensor:
    """Points of RoIs as points in [0, 1] of an image or of a feature map, as :func:`point_sample` reads.

    Args:
        rois: (n, 4), or (n, 5) with the image index first; xyxy px.
        rel_roi_points: (n, P, 2) in [0, 1] of each RoI.
        img: height and width, or the map (N, C, H, W) itself.
        spatial_scale: cells of the map per px.

    Returns:
        (n, P, 2) without a gradient.
    """
    height, width = img.shape[-2:] if isinstance(img, Tensor) else img
    points = points_in_image(rois, rel_roi_points).detach()
    return points / points.new_tensor([width, height]) * spatial_scale


def point_sample(input: Tensor, points: Tensor, align_corners: bool = False, **kwargs: Any) -> Tensor:
    """Bilinear values of maps at points; zero outside.

    Args:
        input: (N, C, H, W).
        points: (N, P, 2), or (N, h, w, 2), x and y in [0, 1] of the map.
        align_corners: as of ``torch.nn.functional.grid_sample``, as are ``kwargs``.

    Returns:
        (N, C, P), or (N, C, h, w).
    """
    grid = points * 2 - 1
    if points.ndim == 4:
        return F.grid_sample(input, grid, align_corners=align_corners, **kwargs)
    return F.grid_sample(input, grid[:, :, None], align_corners=align_corners, **kwargs).squeeze(3)


class SimpleRoIAlign(mmcv_class('SimpleRoIAlign')):
    """Pools a RoI by one bilinear sample in the middle of each bin.

    Args:
        output_size: bins (h, w), or one number.
        spatial_scale: cells of the feature map per px of the image.
        aligned: the middles of cells lie at half-integer coordinates; False: see ``align_corners`` of
            :func:`read_at_points`.
    """

    def __init__(self, output_size: int | tuple[int, int], spatial_scale: float, aligned: bool = True) -> None:
        super().__init__()
        self.output_size = _pair(output_size)
        self.spatial_scale = float(spatial_scale)
        self.aligned = aligned

    def forward(self, features: Tensor, rois: Tensor) -> Tensor:
        """Features (N, C, H, W) and RoIs (n, 5) -> (n, C, h, w)."""
        points = points_in_image(rois, bin_centres(self.output_size, rois).expand(rois.size(0), -1, -1))
        values = read_at_points(features, rois[:, 0].long(), points, self.spatial_scale, align_corners=not self.aligned)
        return values.unflatten(2, self.output_size)

    def extra_repr(self) -> str:
        """The settings, for ``repr``."""
        return f'output_size={self.output_size}, spatial_scale={self.spatial_scale}, aligned={self.aligned}'


def bin_centres(size: tuple[int, int], like: Tensor) -> Tensor:
    """(1, h * w, 2): x and y in [0, 1] of the middles of h times w bins, row by row."""
    ys, xs = ((torch.arange(n, device=like.device, dtype=like.dtype) + 0.5) / n for n in size)
    return torch.stack([xs.expand(size), ys[:, None].expand(size)], dim=2).reshape(1, -1, 2)
