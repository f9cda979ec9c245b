"""From feature maps to sequences of patches and back, for vision transformers."""

import math

from mmcv.cnn import build_conv_layer, build_norm_layer
from mmcv.runner import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.utils import _pair

# Default arguments, never written to.
LAYER_NORM = dict(type='LN')

Size = int | tuple[int, int]


def nlc_to_nchw(x: Tensor, hw_shape: tuple[int, int]) -> Tensor:
    """A sequence ``(N, H * W, C)``, row by row, to a map ``(N, C, H, W)``.

    Raises:
        ValueError: the sequence is not of three dimensions, or its length is not ``H * W``.
    """
    height, width = hw_shape
    if x.dim() != 3 or x.size(1) != height * width:
        raise ValueError(f'expected (N, {height} * {width}, C), got {tuple(x.shape)}')
    return x.transpose(1, 2).reshape(x.size(0), x.size(2), height, width).contiguous()


def nchw_to_nlc(x: Tensor) -> Tensor:
    """A map ``(N, C, H, W)`` to a sequence ``(N, H * W, C)``, row by row.

    Raises:
        ValueError: the map is not of four dimensions.
    """
    if x.dim() != 4:
        raise ValueError(f'expected (N, C, H, W), got {tuple(x.shape)}')
    return x.flatten(2).transpose(1, 2).contiguous()


def resized_grid(table: Tensor, old: tuple[int, int], new: tuple[int, int], mode: str = 'bicubic') -> Tensor:
    """Vectors ``(1, H * W, C)`` of a grid of size ``old``, read off at the cells of one of size ``new``."""
    if tuple(old) == tuple(new):
        return table
    grid = table.transpose(1, 2).reshape(1, -1, *old)
    return F.interpolate(grid, size=tuple(new), mode=mode, align_corners=False).flatten(2).transpose(1, 2)


class AdaptivePadding(nn.Module):
    """Pads with zeros so that a sliding window reaches every pixel.

    Args:
        kernel_size, stride, dilation: of the window.
        padding: 'corner': below and on the right; 'same': on all sides. Default: 'corner'.

    Raises:
        ValueError: another ``padding``.
    """

    def __init__(self, kernel_size: Size = 1, stride: Size = 1, dilation: Size = 1, padding: str = 'corner') -> None:
        super().__init__()
        if padding not in ('same', 'corner'):
            raise ValueError(f"padding: expected 'same' or 'corner', got {padding!r}")
        self.padding = padding
        self.kernel_size = _pair(kernel_size)
        self.stride = _pair(stride)
        self.dilation = _pair(dilation)

    def get_pad_shape(self, input_shape: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns that a map of ``(H, W)`` lacks."""
        lacking = []
        for size, kernel, stride, dilation in zip(input_shape, self.kernel_size, self.stride, self.dilation):
            reach = (math.ceil(size / stride) - 1) * stride + (kernel - 1) * dilation + 1
            lacking.append(max(reach - size, 0))
        return lacking[0], lacking[1]

    def forward(self, x: Tensor) -> Tensor:
        """``(..., H, W)`` to ``(..., H + rows, W + columns)``."""
        rows, columns = self.get_pad_shape(x.shape[-2:])
        if rows == columns == 0:
            return x
        top, left = (rows // 2, columns // 2) if self.padding == 'same' else (0, 0)
        return F.pad(x, (left, columns - left, top, rows - top))


def window_padding(
    padding: str | Size, kernel_size: Size, stride: Size, dilation: Size
) -> tuple[AdaptivePadding | None, tuple[int, int]]:
    """What pads before a sliding window, and what the window itself pads: one of them does nothing."""
    if isinstance(padding, str):
        return AdaptivePadding(kernel_size, stride, dilation, padding), (0, 0)
    return None, _pair(padding)


def window_steps(size: Size, padding: Size, dilation: Size, kernel_size: Size, stride: Size) -> tuple[int, int]:
    """How often a window fits into ``(H, W)``."""
    steps = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(*map(_pair, (size, padding, dilation, kernel_size, stride)))
    ]
    return steps[0], steps[1]


class PatchEmbed(BaseModule):
    """One feature vector for each patch of a map, by a convolution and a norm.

    Args:
        in_channels: channels of the map. Default: 3.
        embed_dims: channels of the vectors. Default: 768.
        conv_type: kind of convolution. Default: 'Conv2d'.
        kernel_size: size of a patch. Default: 16.
        stride: distance of patches; None: ``kernel_size``. Default: 16.
        padding: 'corner' or 'same' (see ``AdaptivePadding``), or zeros on each side. Default: 'corner'.
        dilation: of the convolution. Default: 1.
        bias: of the convolution. Default: True.
        norm_cfg: kind of norm behind it. Default: None.
        input_size: ``(H, W)`` for which ``init_out_size`` is worked out. Default: None.
        init_cfg: initial values. Default: None.
    """

    def __init__(
        self,
        in_channels: int = 3,
        embed_dims: int = 768,
        conv_type: str = 'Conv2d',
        kernel_size: Size = 16,
        stride: Size | None = 16,
        padding: str | Size = 'corner',
        dilation: Size = 1,
        bias: bool = True,
        norm_cfg: dict | None = None,
        input_size: Size | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        stride = kernel_size if stride is None else stride
        self.embed_dims = embed_dims
        self.adap_padding, padding = window_padding(padding, kernel_size, stride, dilation)
        self.projection = build_conv_layer(
            dict(type=conv_type),
            in_channels=in_channels,
            out_channels=embed_dims,
            kernel_size=_pair(kernel_size),
            stride=_pair(stride),
            padding=padding,
            dilation=_pair(dilation),
            bias=bias,
        )
        self.norm = None if norm_cfg is None else build_norm_layer(norm_cfg, embed_dims)[1]
        self.init_input_size = self.init_out_size = None
        if input_size is not None:
            self.init_input_size = _pair(input_size)
            rows, columns = self.adap_padding.get_pad_shape(self.init_input_size) if self.adap_padding else (0, 0)
            padded = (self.init_input_size[0] + rows, self.init_input_size[1] + columns)
            self.init_out_size = window_steps(padded, padding, dilation, kernel_size, stride)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """A map ``(N, in_channels, H, W)`` to a sequence ``(N, h * w, embed_dims)`` and ``(h, w)``."""
        if self.adap_padding is not None:
            x = self.adap_padding(x)
        x = self.projection(x)
        sequence = nchw_to_nlc(x)
        return sequence if self.norm is None else self.norm(sequence), (x.size(2), x.size(3))


class PatchMerging(BaseModule):
    """Joins the vectors of each window of patches (https://arxiv.org/abs/2103.14030): norm, then a linear layer.

    The linear layer sees the window's values channel by channel, as ``torch.nn.Unfold`` orders them.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: size of a window. Default: 2.
        stride: distance of windows. Default: None, ``kernel_size``.
        padding: 'corner' or 'same' (see ``AdaptivePadding``), or zeros on each side. Default: 'corner'.
        dilation: of the window. Default: 1.
        bias: of the linear layer. Default: False.
        norm_cfg: kind of norm; None: none. Default: layer normalisation.
        init_cfg: initial values. Default: None.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size = 2,
        stride: Size | None = None,
        padding: str | Size = 'corner',
        dilation: Size = 1,
        bias: bool = False,
        norm_cfg: dict | None = LAYER_NORM,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.out_channels = out_channels
        stride = kernel_size if stride is None else stride
        self.adap_padding, self.padding = window_padding(padding, kernel_size, stride, dilation)
        self.kernel_size, self.stride, self.dilation = _pair(kernel_size), _pair(stride), _pair(dilation)
        self.sampler = nn.Unfold(self.kernel_size, self.dilation, self.padding, self.stride)
        window_dims = self.kernel_size[0] * self.kernel_size[1] * in_channels
        self.norm = None if norm_cfg is None else build_norm_layer(norm_cfg, window_dims)[1]
        self.reduction = nn.Linear(window_dims, out_channels, bias=bias)

    def forward(self, x: Tensor, input_size: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
        """A sequence ``(N, H * W, in_channels)`` to ``(N, h * w, out_channels)`` and ``(h, w)``.

        Args:
            x: the sequence.
            input_size: ``(H, W)``.

        Raises:
            ValueError: the sequence's length is not ``H * W``.
        """
        feature_map = nlc_to_nchw(x, input_size)
        if self.adap_padding is not None:
            feature_map = self.adap_padding(feature_map)
        windows = self.sampler(feature_map).transpose(1, 2)
        size = window_steps(feature_map.shape[-2:], self.padding, self.dilation, self.kernel_size, self.stride)
        return self.reduction(windows if self.norm is None else self.norm(windows)), size


def image_grid(pretrain_img_size: Size) -> tuple[int, int]:
    """Height and width of the images of the pretraining, from one number or two.

    Raises:
        ValueError: another number of numbers.
    """
    size = (pretrain_img_size,) if isinstance(pretrain_img_size, int) else tuple(pretrain_img_size)
    if len(size) not in (1, 2):
        raise ValueError(f'pretrain_img_size: expected a number or (height, width), got {pretrain_img_size!r}')
    return size if len(size) == 2 else size * 2
