"""Where a 3x3 deformable convolution reads, so that it sees a whole box: nine points of the box."""

import torch
from torch import Tensor


def star_offsets(distances: Tensor, gradient_mul: float, stride: float) -> Tensor:
    """Offsets that move a 3x3 kernel's points to the corners, the middles of the sides and the centre point of a box.

    Args:
        distances: (N, 4, H, W) from each cell's point to the left, top, right and bottom, pixels.
        gradient_mul: part of the gradient that goes on to the distances.
        stride: pixels of a cell.

    Returns:
        (N, 18, H, W) offsets in cells, y before x for each of the nine points, row by row.
    """
    distances = part_of_gradient(distances, gradient_mul) / stride
    left, top, right, bottom = distances.unbind(1)
    zero = torch.zeros_like(left)
    points = [position for y in (-top, zero, bottom) for x in (-left, zero, right) for position in (y, x)]
    # a deformable convolution counts offsets from the kernel's own points, the distances are counted from the cell's
    return torch.stack(points, dim=1) - kernel_points(3).to(left, non_blocking=True).view(1, -1, 1, 1)


def part_of_gradient(values: Tensor, part: float) -> Tensor:
    """``values``, to which this part of the gradient goes on."""
    return values.detach() * (1 - part) + values * part


def kernel_points(size: int) -> Tensor:
    """(2 * size * size,) y and x of the cells of a square kernel, row by row, in cells from its middle."""
    steps = torch.arange(size, dtype=torch.float32) - size // 2
    return torch.stack(torch.meshgrid(steps, steps, indexing='ij'), dim=-1).flatten()
