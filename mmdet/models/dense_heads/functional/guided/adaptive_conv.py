"""Convolution whose kernel is laid over an anchor (Cascade RPN, https://arxiv.org/abs/1909.06720, section 3.2)."""

import torch
from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.core.anchor.grid import grid_positions
from mmdet.ops import DeformConv2d
from mmdet.utils.registry import did_you_mean

KINDS = ('offset', 'dilation')
# Default of ``init_cfg``; the builder copies it.
SMALL_CONV = dict(type='Normal', std=0.01, override=dict(name='conv'))


def anchor_offsets(
    anchors: Tensor, stride: float, featmap_size: tuple[int, int], kernel_size: int = 3, dilation: int = 1
) -> Tensor:
    """Offsets that spread a convolution's kernel evenly over the anchor of each cell.

    Args:
        anchors: (..., H * W, 4), one anchor a cell, row by row.
        stride: pixels of a cell.
        featmap_size: (H, W).
        kernel_size: odd side of the kernel.
        dilation: of the convolution that gets the offsets.

    Returns:
        (..., H * W, 2 * kernel_size ** 2), y before x for each kernel cell, in cells.
    """
    reach = (kernel_size - 1) // 2
    steps = torch.arange(-reach, reach + 1, dtype=anchors.dtype, device=anchors.device)
    kernel = torch.stack(torch.meshgrid(steps, steps, indexing='ij'), dim=-1).reshape(-1, 2)  # y, x
    low, high = anchors[..., :2].flip(-1) / stride, anchors[..., 2:].flip(-1) / stride  # y, x
    # offsets count from where the convolution's own dilation has put each kernel cell already
    spread = (high - low) / (kernel_size - 1) - dilation
    cells = grid_positions(featmap_size, (1, 1), anchors.device, anchors.dtype).flip(-1)
    shifts = (low + high) * 0.5 - cells
    return (spread.unsqueeze(-2) * kernel + shifts.unsqueeze(-2)).flatten(-2)


class AdaptiveConv(BaseModule):
    """A dilated convolution, or a deformable one that gets its offsets from outside.

    Args:
        in_channels: channels of the features.
        out_channels: channels of the result.
        kernel_size: side of the kernel.
        stride: 1 for the kind ``'offset'``.
        padding: 1 for the kind ``'offset'``; the other one pads by its dilation.
        dilation: of the kind ``'dilation'``.
        groups: 1 for the kind ``'offset'``.
        bias: of the kind ``'offset'``, which has none; the other one always has a bias.
        type: ``'offset'`` or ``'dilation'``.
        init_cfg: initialisation of the weights.

    Raises:
        ValueError: unknown type, or the kind ``'offset'`` with another stride, padding or number of groups.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        padding: int = 1,
        dilation: int = 3,
        groups: int = 1,
        bias: bool = False,
        type: str = 'dilation',
        init_cfg: dict | list | None = SMALL_CONV,
    ) -> None:
        super().__init__(init_cfg)
        if type not in KINDS:
            raise ValueError(f'AdaptiveConv: type must be one of {KINDS}, got {type!r}{did_you_mean(str(type), KINDS)}')
        self.adapt_type = type
        if type == 'dilation':
            self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=dilation, dilation=dilation)
            return
        if not stride == padding == groups == 1:
            raise ValueError(
                "AdaptiveConv(type='offset'): stride, padding and groups must be 1, "
                f'got {stride}, {padding} and {groups}'
            )
        self.conv = DeformConv2d(in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=bias)

    def forward(self, x: Tensor, offset: Tensor | None) -> Tensor:
        """Features to features.

        Args:
            x: (N, in_channels, H, W).
            offset: (N, H * W, 2 * kernel cells), see :func:`anchor_offsets`, for the kind ``'offset'``; else None.

        Returns:
            (N, out_channels, H, W).

        Raises:
            ValueError: the offsets do not fit the kind or the features.
        """
        if self.adapt_type == 'dilation':
            if offset is not None:
                raise ValueError("AdaptiveConv(type='dilation') takes no offsets")
            return self.conv(x)
        num, _, height, width = x.shape
        if offset is None or offset.shape[:2] != (num, height * width):
            got = None if offset is None else tuple(offset.shape)
            raise ValueError(f"AdaptiveConv(type='offset'): expected offsets {(num, height * width)} + (c,), got {got}")
        return self.conv(x, offset.permute(0, 2, 1).reshape(num, -1, height, width))
