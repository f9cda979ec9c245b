"""Corner pooling (CornerNet, https://arxiv.org/abs/1808.01244): running maxima along an axis."""

from torch import Tensor

from mmdet.ops.compiled import mmcv_class

# mode -> the axis, and whether the maximum runs against it: 'top' takes what lies below a cell, and so on
DIRECTIONS = {'bottom': (2, False), 'left': (3, True), 'right': (3, False), 'top': (2, True)}


def corner_pool(x: Tensor, mode: str) -> Tensor:
    """Each cell becomes the maximum of itself and all cells on one side of it.

    Args:
        x: (N, C, H, W).
        mode: ``'top'``: of the cells below, ``'bottom'``: above, ``'left'``: to the right, ``'right'``: to the left.

    Returns:
        (N, C, H, W). The gradient goes to the last of equal maxima, as of ``torch.cummax``.

    Raises:
        ValueError: unknown mode.
    """
    if mode not in DIRECTIONS:
        raise ValueError(f'corner_pool: mode must be one of {tuple(DIRECTIONS)}, got {mode!r}')
    axis, backwards = DIRECTIONS[mode]
    if not backwards:
        return x.cummax(axis).values
    # torch's running maximum knows one direction only
    return x.flip(axis).cummax(axis).values.flip(axis)


class CornerPool(mmcv_class('CornerPool')):
    """:func:`corner_pool` as a layer.

    Raises:
        ValueError: unknown mode.
    """

    def __init__(self, mode: str) -> None:
        super().__init__()
        if mode not in DIRECTIONS:
            raise ValueError(f'CornerPool: mode must be one of {tuple(DIRECTIONS)}, got {mode!r}')
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        return corner_pool(x, self.mode)

    def extra_repr(self) -> str:
        return f'mode={self.mode!r}'
