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
    distances = (distances.detach() * (1 - gradient_mul) + distances * gradient_mul) / stride
    left, top, right, bottom = distances.unbind(1)
    zero = torch.zeros_like(left)
    # the kernel's own points are one cell away
    rows, columns = (1 - top, zero, bottom - 1), (1 - left, zero, right - 1)
    return torch.stack([offset for y in rows for x in columns for offset in (y, x)], dim=1)
