"""Cells that merge two feature maps of any sizes into one, as in NAS-FPN (https://arxiv.org/abs/1904.07392)."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from torch import Tensor, nn

# Default arguments, never written to.
OUT_CONV = dict(groups=1, kernel_size=3, padding=1, bias=True)


def resize_map(x: Tensor, size: tuple[int, int], upsample_mode: str = 'nearest') -> Tensor:
    """A map (N, C, H, W) at another (h, w): coarser by maxima of equal windows, finer by interpolation.

    Where the windows do not fit evenly, the map is first padded with zeros, half at each side.
    """
    h, w = x.shape[-2:]
    windows = math.ceil(h / size[0]), math.ceil(w / size[1])
    if max(windows) > 1:
        # an axis that grows, or stays, has windows of one cell and needs no padding
        pad_h, pad_w = (max(k * s - n, 0) if k > 1 else 0 for k, s, n in zip(windows, size, (h, w)))
        x = F.pad(x, [pad_w // 2, pad_w - pad_w // 2, pad_h // 2, pad_h - pad_h // 2])
        x = F.max_pool2d(x, windows, stride=windows)
    return x if x.shape[-2:] == tuple(size) else F.interpolate(x, size=size, mode=upsample_mode)


class BaseMergeCell(nn.Module):
    """Convolve and resize both inputs, merge them, convolve the result.

    Args:
        fused_channels: channels behind the merging. Default: 256.
        out_channels: channels of the inputs and the output. Default: 256.
        with_out_conv: convolve the result. Default: True.
        out_conv_cfg: arguments of that ``ConvModule``. Default: 3x3 with bias.
        out_norm_cfg: its norm. Default: None.
        out_conv_order: order of its parts. Default: activation, convolution, norm.
        with_input1_conv, with_input2_conv: convolve that input. Default: False.
        input_conv_cfg, input_norm_cfg: kind of these convolutions and their norm. Default: None.
        upsample_mode: of the interpolation. Default: 'nearest'.

    Raises:
        ValueError: unknown ``upsample_mode``.
    """

    def __init__(
        self,
        fused_channels: int = 256,
        out_channels: int = 256,
        with_out_conv: bool = True,
        out_conv_cfg: dict = OUT_CONV,
        out_norm_cfg: dict | None = None,
        out_conv_order: tuple[str, ...] = ('act', 'conv', 'norm'),
        with_input1_conv: bool = False,
        with_input2_conv: bool = False,
        input_conv_cfg: dict | None = None,
        input_norm_cfg: dict | None = None,
        upsample_mode: str = 'nearest',
    ) -> None:
        super().__init__()
        if upsample_mode not in ('nearest', 'bilinear'):
            raise ValueError(f"upsample_mode: expected 'nearest' or 'bilinear', got {upsample_mode!r}")
        self.with_out_conv = with_out_conv
        self.with_input1_conv = with_input1_conv
        self.with_input2_conv = with_input2_conv
        self.upsample_mode = upsample_mode
        if with_out_conv:
            self.out_conv = ConvModule(
                fused_channels, out_channels, **out_conv_cfg, norm_cfg=out_norm_cfg, order=out_conv_order
            )
        settings = dict(padding=1, conv_cfg=input_conv_cfg, norm_cfg=input_norm_cfg, bias=True)
        for name, has_conv in (('input1_conv', with_input1_conv), ('input2_conv', with_input2_conv)):
            conv = ConvModule(out_channels, out_channels, 3, **settings) if has_conv else nn.Sequential()
            self.add_module(name, conv)

    def _binary_op(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Merge two maps of one size."""
        raise NotImplementedError(f'{type(self).__name__} must say how it merges two maps: _binary_op')

    def forward(self, x1: Tensor, x2: Tensor, out_size: tuple[int, int] | None = None) -> Tensor:
        """Merge two maps.

        Args:
            x1, x2: (N, C, H_i, W_i).
            out_size: (h, w) of the result; by default that of the larger input.

        Returns:
            (N, out_channels, h, w).

        Raises:
            ValueError: different numbers of images or channels, or an ``out_size`` that is not two numbers.
        """
        if x1.shape[:2] != x2.shape[:2]:
            raise ValueError(
                f'{type(self).__name__}: the inputs must have equal numbers of images and channels, '
                f'got {tuple(x1.shape)} and {tuple(x2.shape)}'
            )
        size = tuple(max(x1.shape[-2:], x2.shape[-2:], key=math.prod) if out_size is None else out_size)
        if len(size) != 2:
            raise ValueError(f'{type(self).__name__}: out_size must be (height, width), got {out_size}')
        x1, x2 = self.input1_conv(x1), self.input2_conv(x2)
        x1, x2 = (resize_map(x, size, self.upsample_mode) for x in (x1, x2))
        merged = self._binary_op(x1, x2)
        return self.out_conv(merged) if self.with_out_conv else merged


class SumCell(BaseMergeCell):
    """The sum of two maps. Arguments as of :class:`BaseMergeCell`, the channels being those of the inputs."""

    def __init__(self, in_channels: int, out_channels: int, **kwargs: Any) -> None:
        super().__init__(in_channels, out_channels, **kwargs)

    def _binary_op(self, x1: Tensor, x2: Tensor) -> Tensor:
        return x1 + x2


class ConcatCell(BaseMergeCell):
    """The channels of two maps one after the other. Arguments as of :class:`BaseMergeCell`."""

    def __init__(self, in_channels: int, out_channels: int, **kwargs: Any) -> None:
        super().__init__(2 * in_channels, out_channels, **kwargs)

    def _binary_op(self, x1: Tensor, x2: Tensor) -> Tensor:
        return torch.cat([x1, x2], dim=1)


class GlobalPoolingCell(BaseMergeCell):
    """The second map plus the first, whose channels are weighted by the means of the second.

    Args:
        in_channels: channels of the inputs. Default: None, 256.
        out_channels: channels of the output. Default: None, 256.
        kwargs: as of :class:`BaseMergeCell`.
    """

    def __init__(self, in_channels: int | None = None, out_channels: int | None = None, **kwargs: Any) -> None:
        super().__init__(in_channels or 256, out_channels or 256, **kwargs)

    def _binary_op(self, x1: Tensor, x2: Tensor) -> Tensor:
        return x2 + x1 * F.adaptive_avg_pool2d(x2, 1).sigmoid()
