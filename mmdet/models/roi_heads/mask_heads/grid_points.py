"""The arithmetic of the grid head: where grid points lie in RoIs, as heatmaps and back.

P: grid points, g * g of them, point i in column i // g and row i % g. Each RoI is seen enlarged to twice its sides
about its centre, as a whole map of S x S cells; the heatmap of a point covers only the quarter of it (S / 2 x S / 2)
in which that point can be (Grid R-CNN Plus, https://arxiv.org/abs/1906.05688). Boxes are xyxy px.
"""

import torch
from torch import Tensor

from mmdet.utils.running.device_copy import tensor_like

Region = tuple[int, int, int, int]  # x0, y0, x1, y1 in cells of the whole map, ends not included


def grid_regions(grid_size: int, whole_size: int) -> list[Region]:
    """The quarter of the whole map that each of the P points' heatmaps covers."""
    half = whole_size // 4 * 2
    inner = (max(int((i / (grid_size - 1) - 0.25) * whole_size), 0) for i in range(1, grid_size - 1))
    starts = [0, *inner, half]
    return [(x, y, x + half, y + half) for x in starts for y in starts]


def grid_neighbours(grid_size: int) -> list[list[int]]:
    """For each of the P points those left, above, below and right of it, in this order."""
    neighbours = []
    for column in range(grid_size):
        for row in range(grid_size):
            cells = ((column - 1, row), (column, row - 1), (column, row + 1), (column + 1, row))
            neighbours.append([x * grid_size + y for x, y in cells if 0 <= x < grid_size and 0 <= y < grid_size])
    return neighbours


def enlarged(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """(n, 4) -> upper left corner (n, 2) and sides (n, 2) px of the boxes at twice their sides."""
    sides = boxes[:, 2:4] - boxes[:, :2]
    return boxes[:, :2] - sides / 2, sides * 2


def point_positions(boxes: Tensor, grid_size: int) -> Tensor:
    """(n, 4) -> (n, P, 2) x, y px: the grid points of the boxes, from corner to corner."""
    steps = torch.arange(grid_size, dtype=boxes.dtype, device=boxes.device) / (grid_size - 1)
    fractions = torch.cartesian_prod(steps, steps)  # (P, 2): column first
    return boxes[:, None, :2] * (1 - fractions) + boxes[:, None, 2:4] * fractions


def heatmap_targets(
    rois: Tensor, objects: Tensor, regions: list[Region], grid_size: int, whole_size: int, radius: int
) -> Tensor:
    """Where the grid points of the objects are in their RoIs.

    Args:
        rois: (n, 4).
        objects: (n, 4), the object of each RoI.
        regions: of :func:`grid_regions`.
        grid_size: g.
        whole_size: S.
        radius: cells within this distance of a point's cell are 1.

    Returns:
        (n, P, S / 2, S / 2) of 0 and 1. Points outside their region give none; RoIs of which a side, enlarged, is at
        most g px give none at all.
    """
    corner, sides = enlarged(rois)
    fractions = (point_positions(objects, grid_size) - corner[:, None]) / sides[:, None]
    cells = (fractions * whole_size).trunc()  # (n, P, 2)
    starts = tensor_like(regions, cells)[:, :2]  # (P, 2)
    axis = torch.arange(whole_size // 4 * 2, dtype=cells.dtype, device=cells.device)
    offsets = axis + starts[..., None] - cells[..., None]  # (n, P, 2, S / 2)
    squares = offsets**2
    near = squares[:, :, 0, None, :] + squares[:, :, 1, :, None] <= radius**2  # rows are y
    large = (sides > grid_size).all(dim=1)
    return (near & large[:, None, None, None]).to(rois.dtype)


def boxes_from_heatmaps(boxes: Tensor, heatmaps: Tensor, regions: list[Region], grid_size: int) -> Tensor:
    """Move the sides of boxes to where the grid points were found.

    Each side is the mean over the g points on it, weighted by their scores.

    Args:
        boxes: (n, 4).
        heatmaps: (n, P, S / 2, S / 2), scores in [0, 1].
        regions: of :func:`grid_regions`.
        grid_size: g.

    Returns:
        (n, 4).
    """
    half = heatmaps.size(-1)
    scores, cells = heatmaps.flatten(2).max(dim=2)  # (n, P)
    positions = torch.stack([cells % half, cells // half], dim=2) + tensor_like(regions, cells)[:, :2]
    corner, sides = enlarged(boxes)
    points = (positions + 0.5) / (2 * half) * sides[:, None] + corner[:, None]  # (n, P, 2) px
    # (n, g columns, g rows): x is voted for along the outer columns, y along the outer rows
    x, y = points.unflatten(1, (grid_size, grid_size)).unbind(3)
    weights = scores.unflatten(1, (grid_size, grid_size))
    sides_of_points = [(x[:, 0], weights[:, 0]), (y[:, :, 0], weights[:, :, 0])]
    sides_of_points += [(x[:, -1], weights[:, -1]), (y[:, :, -1], weights[:, :, -1])]
    return torch.stack([(value * w).sum(1) / w.sum(1) for value, w in sides_of_points], dim=1)
