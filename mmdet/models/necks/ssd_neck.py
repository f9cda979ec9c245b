"""The further levels of SSD (https://arxiv.org/abs/1512.02325)."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.models.builder import NECKS

# Default arguments; every builder copies them.
RELU = dict(type='ReLU')
FRESH = (
    dict(type='Xavier', distribution='uniform', layer='Conv2d'),
    dict(type='Constant', val=1, layer='BatchNorm2d'),
)


@NECKS.register_module()
class SSDNeck(BaseModule):
    """Hands the backbone's levels on and makes further ones, each by two convolutions from the one before.

    Args:
        in_channels: channels of the backbone's levels.
        out_channels: channels of all levels, beginning with ``in_channels``.
        level_strides: stride of each further level.
        level_paddings: padding of each further level.
        l2_norm_scale: the first level is normalised to this length; None or 0: it is not.
        last_kernel_size: side of the last level's kernel.
        use_depthwise: the second convolution of a level is a depthwise separable one.
        conv_cfg: kind of the convolutions; None: ``Conv2d``.
        norm_cfg: normalisation after each; None: none.
        act_cfg: activation after each.
        init_cfg: initialisation of the weights.

    Raises:
        ValueError: the numbers of levels or the channels do not fit.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: Sequence[int],
        level_strides: Sequence[int],
        level_paddings: Sequence[int],
        l2_norm_scale: float | None = 20.0,
        last_kernel_size: int = 3,
        use_depthwise: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        act_cfg: dict | None = RELU,
        init_cfg: dict | Sequence[dict] | None = FRESH,
    ) -> None:
        super().__init__(list(init_cfg) if isinstance(init_cfg, list | tuple) else init_cfg)
        extra = len(out_channels) - len(in_channels)
        if tuple(out_channels[: len(in_channels)]) != tuple(in_channels) or extra < 1:
            raise ValueError(f'out_channels {out_channels} must go on after in_channels {in_channels}')
        if not extra == len(level_strides) == len(level_paddings):
            raise ValueError(
                f'{extra} further levels, but {len(level_strides)} level_strides and '
                f'{len(level_paddings)} level_paddings'
            )
        if l2_norm_scale:
            self.l2_norm = L2Norm(in_channels[0], l2_norm_scale)
        layer = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        second_conv = DepthwiseSeparableConvModule if use_depthwise else ConvModule
        channels, kernels = out_channels[len(in_channels) - 1 :], [3] * (extra - 1) + [last_kernel_size]
        self.extra_layers = nn.ModuleList(
            nn.Sequential(
                ConvModule(c_in, c_out // 2, 1, **layer),
                second_conv(c_out // 2, c_out, kernel, stride=stride, padding=padding, **layer),
            )
            for c_in, c_out, kernel, stride, padding in zip(
                channels, channels[1:], kernels, level_strides, level_paddings
            )
        )

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The backbone's maps (N, C, H, W) -> the maps of all levels."""
        outs = list(inputs)
        if hasattr(self, 'l2_norm'):
            outs[0] = self.l2_norm(outs[0])
        for layer in self.extra_layers:
            outs.append(layer(outs[-1]))
        return tuple(outs)


class L2Norm(nn.Module):
    """Brings the features of each cell to a length that is learnt channel by channel.

    Args:
        n_dims: channels.
        scale: initial length.
        eps: added to the length that is divided by.
    """

    def __init__(self, n_dims: int, scale: float = 20.0, eps: float = 1e-10) -> None:
        super().__init__()
        self.n_dims = n_dims
        self.scale = scale
        self.eps = eps
        self.weight = nn.Parameter(torch.full((n_dims,), float(scale)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, n_dims, H, W) -> the same shape and type; computed in float32 at least."""
        full = x if x.dtype == torch.float64 else x.float()
        length = full.square().sum(dim=1, keepdim=True).sqrt() + self.eps
        return (self.weight.to(full)[:, None, None] * full / length).to(x.dtype)
