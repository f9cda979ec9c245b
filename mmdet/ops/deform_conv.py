"""Deformable convolution (arXiv:1703.06211) and its modulated kind (arXiv:1811.11168), on torchvision's kernel.

Offsets are (N, deform_groups * kh * kw * 2, H_out, W_out), y before x for each kernel cell; masks
(N, deform_groups * kh * kw, H_out, W_out) in [0, 1]. Parameter names are those of mmcv's layers.
"""

import math

import torch
import torchvision.ops
from mmcv.cnn.bricks.registry import CONV_LAYERS
from torch import Tensor, nn
from torch.nn.modules.utils import _pair

from mmdet.ops.compiled import mmcv_class, register_layer


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    deform_groups: int = 1,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Convolution whose kernel cells are moved by ``offset`` and, where given, scaled by ``mask``.

    Args:
        input: (N, C_in, H, W).
        offset: (N, deform_groups * kh * kw * 2, H_out, W_out), in input cells.
        weight: (C_out, C_in / groups, kh, kw).
        stride: as in a plain convolution.
        padding: as in a plain convolution.
        dilation: as in a plain convolution.
        groups: groups of channels that are convolved apart.
        deform_groups: groups of input channels with their own offsets.
        bias: (C_out,).
        mask: (N, deform_groups * kh * kw, H_out, W_out).

    Returns:
        (N, C_out, H_out, W_out) in the dtype of ``input``; computed in float32 at least.

    Raises:
        ValueError: the channels of ``input``, ``offset`` or ``mask`` do not fit the groups.
    """
    _check_channels(input, offset, weight, groups, deform_groups, mask)
    dtype = torch.float64 if input.dtype == torch.float64 else torch.float32
    tensors = [None if t is None else t.to(dtype) for t in (input, offset, weight, bias, mask)]
    features, offset, weight, bias, mask = tensors
    if not features.numel() or not offset.numel():
        out = features.new_zeros(len(features), weight.size(0), *offset.shape[-2:])
        # attached to all of them: the other processes of a run wait for these gradients, too
        return (out + sum(t.sum() * 0 for t in tensors if t is not None)).to(input.dtype)
    if _has_nan(offset):
        shape = (len(features), weight.size(0), *offset.shape[-2:])
        return (features.new_zeros(shape) + sum(t.sum() * 0 for t in tensors if t is not None)).to(input.dtype)
    # autocast would hand the kernel half precision, in which offsets of large maps lose whole cells
    with torch.autocast(features.device.type, enabled=False):
        out = torchvision.ops.deform_conv2d(
            features, offset, weight, bias, _pair(stride), _pair(padding), _pair(dilation), mask
        )
    return out.to(input.dtype)


def _has_nan(offset: Tensor) -> bool:
    """Whether torchvision's kernel for CPUs would read at places that are NaN: outside of the memory, with SIGSEGV.

    Programs that are recorded (exported, traced, compiled) keep no branch for it.
    """
    is_compiling = getattr(torch.compiler, 'is_compiling', bool)  # torch 2.1 may lack it
    if offset.device.type != 'cpu' or type(offset) is not Tensor or torch.jit.is_tracing() or is_compiling():
        return False
    return bool(offset.isnan().any())


def modulated_deform_conv2d(
    input: Tensor,
    offset: Tensor,
    mask: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    deform_groups: int = 1,
) -> Tensor:
    """:func:`deform_conv2d` with a mask, in the order of arguments that mmcv has for it."""
    return deform_conv2d(input, offset, weight, stride, padding, dilation, groups, deform_groups, bias, mask)


def _check_channels(
    input: Tensor, offset: Tensor, weight: Tensor, groups: int, deform_groups: int, mask: Tensor | None
) -> None:
    cells = weight.size(2) * weight.size(3)
    expected = [('input', input, weight.size(1) * groups), ('offset', offset, 2 * cells * deform_groups)]
    if mask is not None:
        expected.append(('mask', mask, cells * deform_groups))
    for name, tensor, channels in expected:
        if tensor.ndim != 4 or tensor.size(1) != channels:
            raise ValueError(
                f'deform_conv2d: expected {name} (N, {channels}, H, W) for weight {tuple(weight.shape)}, '
                f'groups={groups}, deform_groups={deform_groups}; got {tuple(tensor.shape)}'
            )


class _DeformConvBase(nn.Module):
    """Weights and numbers that the deformable layers share; it looks like ``nn.Conv2d`` to what inspects layers."""

    _version = 2  # as mmcv counts: from 2 on the offsets' convolution is inside the layer, before it was beside it

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        deform_groups: int = 1,
        bias: bool = True,
        deformable_groups: int | None = None,
    ) -> None:
        super().__init__()
        deform_groups = deform_groups if deformable_groups is None else deformable_groups  # the key of old configs
        for name, channels, parts in (
            ('in_channels', in_channels, groups),
            ('out_channels', out_channels, groups),
            ('in_channels', in_channels, deform_groups),
        ):
            if channels % parts:
                raise ValueError(f'{type(self).__name__}: {name}={channels} cannot be split into {parts} groups')
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _pair(kernel_size)
        self.stride = _pair(stride)
        self.padding = _pair(padding)
        self.dilation = _pair(dilation)
        self.groups = groups
        self.deform_groups = deform_groups
        self.transposed = False
        self.output_padding = _pair(0)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, *self.kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    def _offset_conv(self, channels_per_cell: int) -> nn.Conv2d:
        """The convolution that predicts offsets (2 channels a kernel cell) and masks (1 more); it starts at zero."""
        cells = self.kernel_size[0] * self.kernel_size[1]
        conv = nn.Conv2d(
            self.in_channels,
            self.deform_groups * channels_per_cell * cells,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
        )
        nn.init.zeros_(conv.weight)
        nn.init.zeros_(conv.bias)
        return conv

    def upgrade_state_dict(self, state_dict: dict, prefix: str) -> None:
        """Rename, in place, keys of old checkpoints: ``conv2_offset.*`` beside ``conv2`` to ``conv2.conv_offset.*``.

        Args:
            state_dict: that of the whole model, as torch hands a layer only the keys below its own name.
            prefix: name of this layer in it, with a dot at the end.
        """
        if not hasattr(self, 'conv_offset'):
            return
        for name in ('weight', 'bias'):
            old, new = f'{prefix[:-1]}_offset.{name}', f'{prefix}conv_offset.{name}'
            if old in state_dict and new not in state_dict:
                state_dict[new] = state_dict.pop(old)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        self.upgrade_state_dict(state_dict, prefix)  # mmcv's loader gives the whole state dict
        super()._load_from_state_dict(state_dict, prefix, *args)

    def extra_repr(self) -> str:
        return (
            f'{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, '
            f'padding={self.padding}, dilation={self.dilation}, groups={self.groups}, '
            f'deform_groups={self.deform_groups}, bias={self.bias is not None}'
        )


class DeformConv2d(_DeformConvBase, mmcv_class('DeformConv2d')):
    """Deformable convolution; its offsets are given to ``forward``. It has no bias, as in mmcv.

    Raises:
        ValueError: ``bias`` is asked for, or the channels cannot be split into the groups.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        deform_groups: int = 1,
        bias: bool = False,
        im2col_step: int = 32,
        deformable_groups: int | None = None,
    ) -> None:
        if bias:
            raise ValueError(f'{type(self).__name__} has no bias; use ModulatedDeformConv2d or a norm layer')
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            deform_groups,
            bias=False,
            deformable_groups=deformable_groups,
        )
        self.im2col_step = im2col_step  # a matter of mmcv's kernel, kept for configs that set it
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Kaiming initialisation of the weight."""
        nn.init.kaiming_uniform_(self.weight, nonlinearity='relu')

    def forward(self, x: Tensor, offset: Tensor) -> Tensor:
        """(N, C_in, H, W) and offsets (N, deform_groups * kh * kw * 2, H_out, W_out) -> (N, C_out, H_out, W_out)."""
        return deform_conv2d(
            x, offset, self.weight, self.stride, self.padding, self.dilation, self.groups, self.deform_groups
        )


class DeformConv2dPack(DeformConv2d, mmcv_class('DeformConv2dPack')):
    """Deformable convolution that predicts its own offsets (``DCN`` in configs)."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.conv_offset = self._offset_conv(2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) -> (N, C_out, H_out, W_out)."""
        return super().forward(x, self.conv_offset(x))


class ModulatedDeformConv2d(_DeformConvBase, mmcv_class('ModulatedDeformConv2d')):
    """Modulated deformable convolution; its offsets and masks are given to ``forward``.

    Raises:
        ValueError: the channels cannot be split into the groups.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.init_weights()

    def init_weights(self) -> None:
        """Uniform weight in +-1/sqrt(fan in), zero bias."""
        bound = 1 / math.sqrt(self.in_channels * self.kernel_size[0] * self.kernel_size[1])
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        """(N, C_in, H, W), offsets and masks (shapes: see the module) -> (N, C_out, H_out, W_out)."""
        return modulated_deform_conv2d(
            x,
            offset,
            mask,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            self.deform_groups,
        )


class ModulatedDeformConv2dPack(ModulatedDeformConv2d, mmcv_class('ModulatedDeformConv2dPack')):
    """Modulated deformable convolution that predicts its own offsets and masks (``DCNv2`` in configs)."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.conv_offset = self._offset_conv(3)

    def init_weights(self) -> None:
        """As the parent's; the predicted offsets start at 0 and the masks at one half."""
        super().init_weights()
        if hasattr(self, 'conv_offset'):
            nn.init.zeros_(self.conv_offset.weight)
            nn.init.zeros_(self.conv_offset.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) -> (N, C_out, H_out, W_out)."""
        predicted = self.conv_offset(x)
        first, second, mask = predicted.chunk(3, dim=1)
        return super().forward(x, torch.cat([first, second], dim=1), mask.float().sigmoid())


register_layer(CONV_LAYERS, 'DCN', DeformConv2dPack)
register_layer(CONV_LAYERS, 'DCNv2', ModulatedDeformConv2dPack)
