"""Corner pooling (CornerNet, https://arxiv.org/abs/1808.01244): at each cell the greatest value on one side of it."""

from torch import Tensor, nn

# axis of a map (N, C, H, W), and whether the maxima run against it
DIRECTIONS = {'bottom': (2, False), 'left': (3, True), 'right': (3, False), 'top': (2, True)}


def corner_pool(x: Tensor, mode: str) -> Tensor:
    """Maxima of a map (N, C, H, W) from its border up to each cell.

    Args:
        x: (N, C, H, W).
        mode: ``'top'``: a cell has the maximum of itself and the cells below it, so that what it holds moves towards
            the top; ``'bottom'``, ``'left'`` and ``'right'`` alike.

    Raises:
        ValueError: unknown ``mode``.
    """
    if mode not in DIRECTIONS:
        raise ValueError(f'corner_pool: mode must be one of {", ".join(DIRECTIONS)}, got {mode!r}')
    axis, against = DIRECTIONS[mode]
    maxima = (x.flip(axis) if against else x).cummax(dim=axis).values
    return maxima.flip(axis) if against else maxima


class CornerPool(nn.Module):
    """:func:`corner_pool` as a layer.

    Args:
        mode: ``'bottom'``, ``'left'``, ``'right'`` or ``'top'``.

    Raises:
        ValueError: unknown ``mode``.
    """

    def __init__(self, mode: str) -> None:
        super().__init__()
        if mode not in DIRECTIONS:
            raise ValueError(f'CornerPool: mode must be one of {", ".join(DIRECTIONS)}, got {mode!r}')
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return corner_pool(x, self.mode)

    def extra_repr(self) -> str:
        return f'mode={self.mode}'
