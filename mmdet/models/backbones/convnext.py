"""ConvNeXt (https://arxiv.org/abs/2201.03545), with the arguments and parameter names of mmcls."""

from itertools import pairwise

import torch
from mmcv.cnn import build_activation_layer, build_norm_layer
from mmcv.cnn.bricks import DropPath
from mmcv.runner import BaseModule, ModuleList
from torch import Tensor, nn
from torch.nn import functional as F

from mmdet.models.builder import BACKBONES
from mmdet.models.utils.ckpt_convert import convnext_from_torchvision
from mmdet.models.utils.weights import PartlyFrozen, freeze, load_pretrained, pretrained_path, run_block
from mmdet.utils.registry import did_you_mean

# Default arguments, never written to.
LAYER_NORM_2D = dict(type='LN2d', eps=1e-6)
GELU = dict(type='GELU')


class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of each pixel."""

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        x = F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


def build_norm2d(cfg: dict, channels: int) -> nn.Module:
    """The norm of a config; mmcls' type ``'LN2d'``, which mmcv does not have, is ``LayerNorm2d``."""
    if cfg.get('type') == 'LN2d':
        return LayerNorm2d(channels, **{key: value for key, value in cfg.items() if key != 'type'})
    return build_norm_layer(cfg, channels)[1]


class ConvNeXtBlock(BaseModule):
    """A 7x7 depthwise convolution, a norm, and two layers on the channels of each pixel; with a shortcut.

    Args:
        in_channels: of input and output.
        norm_cfg: kind of norm. Default: layer normalisation of each pixel.
        act_cfg: kind of activation. Default: GELU.
        mlp_ratio: inner channels of the two layers, as a multiple. Default: 4.
        linear_pw_conv: the two are linear layers instead of 1x1 convolutions: the same function, other shapes of
            their weights. Default: True.
        drop_path_rate: probability that an image skips the layers in training. Default: 0.
        layer_scale_init_value: first value of a learnt factor for each channel of what is added; 0: no such factor.
            Default: 1e-6.
        with_cp: recompute activations in the backward pass. Default: False.
    """

    def __init__(
        self,
        in_channels: int,
        norm_cfg: dict = LAYER_NORM_2D,
        act_cfg: dict = GELU,
        mlp_ratio: float = 4.0,
        linear_pw_conv: bool = True,
        drop_path_rate: float = 0.0,
        layer_scale_init_value: float = 1e-6,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.linear_pw_conv = linear_pw_conv
        hidden = int(mlp_ratio * in_channels)
        self.depthwise_conv = nn.Conv2d(in_channels, in_channels, 7, padding=3, groups=in_channels)
        self.norm = build_norm2d(norm_cfg, in_channels)
        if linear_pw_conv:
            self.pointwise_conv1, self.pointwise_conv2 = nn.Linear(in_channels, hidden), nn.Linear(hidden, in_channels)
        else:
            self.pointwise_conv1 = nn.Conv2d(in_channels, hidden, 1)
            self.pointwise_conv2 = nn.Conv2d(hidden, in_channels, 1)
        self.act = build_activation_layer(act_cfg)
        scale = layer_scale_init_value
        self.gamma = nn.Parameter(torch.full((in_channels,), float(scale))) if scale > 0 else None
        self.drop_path = DropPath(drop_path_rate) if drop_path_rate > 0 else nn.Identity()

    def _residual(self, x: Tensor) -> Tensor:
        out = self.norm(self.depthwise_conv(x))
        if self.linear_pw_conv:
            out = out.permute(0, 2, 3, 1)
        out = self.pointwise_conv2(self.act(self.pointwise_conv1(out)))
        if self.linear_pw_conv:
            out = out.permute(0, 3, 1, 2)
        if self.gamma is not None:
            out = out * self.gamma[:, None, None]
        return x + self.drop_path(out)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to the same shape."""
        return run_block(self._residual, x, self.with_cp)


@BACKBONES.register_module()
class ConvNeXt(PartlyFrozen, BaseModule):
    """A patch convolution and four stages of blocks; strides 4, 8, 16 and 32.

    Args:
        arch: 'tiny', 'small', 'base', 'large', 'xlarge', or ``dict(depths=[...], channels=[...])`` of the stages.
            Default: 'tiny'.
        in_channels: channels of the images. Default: 3.
        stem_patch_size: size and stride of the first convolution. Default: 4.
        norm_cfg: kind of norm. Default: layer normalisation of each pixel.
        act_cfg: kind of activation. Default: GELU.
        linear_pw_conv, layer_scale_init_value: see ``ConvNeXtBlock``.
        drop_path_rate: probability that an image skips the last block's layers; it grows linearly from 0 at the
            first block. Default: 0.
        out_indices: stages whose outputs ``forward`` gives, each behind a norm of its own; negative numbers count
            from the last stage. Default: -1.
        frozen_stages: this many stages and what stands before them are kept as they are. Default: 0.
        gap_before_final_norm: average each output over its pixels, as a classifier wants it: ``(N, C)``. A detector
            needs False. Default: True.
        with_cp: recompute activations in the backward pass. Default: False.
        init_cfg: initial values. Default: None, those of the paper. A checkpoint may have mmcls' names or those of
            torchvision: ``dict(type='Pretrained', checkpoint='torchvision://convnext_tiny')``.

    Raises:
        KeyError: unknown ``arch``.
        ValueError: settings that do not fit each other.
    """

    # depths and channels of the stages
    arch_settings: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
        'tiny': ((3, 3, 9, 3), (96, 192, 384, 768)),
        'small': ((3, 3, 27, 3), (96, 192, 384, 768)),
        'base': ((3, 3, 27, 3), (128, 256, 512, 1024)),
        'large': ((3, 3, 27, 3), (192, 384, 768, 1536)),
        'xlarge': ((3, 3, 27, 3), (256, 512, 1024, 2048)),
    }

    def __init__(
        self,
        arch: str | dict = 'tiny',
        in_channels: int = 3,
        stem_patch_size: int = 4,
        norm_cfg: dict = LAYER_NORM_2D,
        act_cfg: dict = GELU,
        linear_pw_conv: bool = True,
        drop_path_rate: float = 0.0,
        layer_scale_init_value: float = 1e-6,
        out_indices: int | tuple[int, ...] = -1,
        frozen_stages: int = 0,
        gap_before_final_norm: bool = True,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        default_init = dict(type='TruncNormal', layer=['Conv2d', 'Linear'], std=0.02, bias=0.0)
        super().__init__(default_init if init_cfg is None else init_cfg)
        self.depths, self.channels = self._look_up(arch)
        self.num_stages = len(self.depths)
        self.out_indices = self._checked_indices(out_indices)
        if not 0 <= frozen_stages <= self.num_stages:
            raise ValueError(f'frozen_stages: expected a number in [0, {self.num_stages}], got {frozen_stages}')
        self.frozen_stages = frozen_stages
        self.gap_before_final_norm = gap_before_final_norm
        first = self.channels[0]
        stem = nn.Sequential(
            nn.Conv2d(in_channels, first, stem_patch_size, stride=stem_patch_size), build_norm2d(norm_cfg, first)
        )
        self.downsample_layers = ModuleList([stem])
        for narrow, wide in pairwise(self.channels):
            self.downsample_layers.append(
                nn.Sequential(build_norm2d(norm_cfg, narrow), nn.Conv2d(narrow, wide, 2, stride=2))
            )
        rates = torch.linspace(0, drop_path_rate, sum(self.depths)).tolist()
        settings = dict(
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
            linear_pw_conv=linear_pw_conv,
            layer_scale_init_value=layer_scale_init_value,
            with_cp=with_cp,
        )
        self.stages = ModuleList()
        for i, (depth, channels) in enumerate(zip(self.depths, self.channels)):
            before = sum(self.depths[:i])
            blocks = [ConvNeXtBlock(channels, drop_path_rate=rates[before + j], **settings) for j in range(depth)]
            self.stages.append(nn.Sequential(*blocks))
        for i in self.out_indices:
            self.add_module(f'norm{i}', build_norm2d(norm_cfg, self.channels[i]))
        self._freeze_stages()

    def _look_up(self, arch: str | dict) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Depths and channels of the stages."""
        if isinstance(arch, str):
            if arch not in self.arch_settings:
                known = ', '.join(self.arch_settings)
                raise KeyError(f'arch: {arch!r} is unknown{did_you_mean(arch, self.arch_settings)} Known: {known}')
            return self.arch_settings[arch]
        missing = {'depths', 'channels'} - set(arch)
        if missing or len(arch['depths']) != len(arch['channels']):
            raise ValueError(f'arch: expected a name, or dict(depths=[...], channels=[...]) of one length, got {arch}')
        return tuple(arch['depths']), tuple(arch['channels'])

    def _checked_indices(self, out_indices: int | tuple[int, ...]) -> tuple[int, ...]:
        """Numbers of stages, counted from the first one."""
        indices = [out_indices] if isinstance(out_indices, int) else out_indices
        if any(not -self.num_stages <= i < self.num_stages for i in indices):
            raise ValueError(f'out_indices: expected numbers in [-{self.num_stages}, {self.num_stages}), got {indices}')
        return tuple(i % self.num_stages for i in indices)

    def _freeze_stages(self) -> None:
        """Keep the first ``frozen_stages`` stages, and what stands before each, as they are."""
        for i in range(self.frozen_stages):
            freeze(self.downsample_layers[i], self.stages[i])

    def init_weights(self) -> None:
        """Load the checkpoint of ``init_cfg``, or draw initial values."""
        if pretrained_path(self.init_cfg) is None:
            super().init_weights()
        else:
            load_pretrained(self, self.init_cfg, convnext_from_torchvision)
            self._is_init = True

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Images ``(N, in_channels, H, W)`` to the outputs of the stages in ``out_indices``.

        They are maps ``(N, C, H, W)``, or with ``gap_before_final_norm`` vectors ``(N, C)``.
        """
        outs = []
        for i, (downsample, stage) in enumerate(zip(self.downsample_layers, self.stages)):
            x = stage(downsample(x))
            if i not in self.out_indices:
                continue
            norm = getattr(self, f'norm{i}')
            if self.gap_before_final_norm:
                outs.append(norm(x.mean((-2, -1), keepdim=True)).flatten(1))
            else:
                outs.append(norm(x).contiguous())
        return tuple(outs)
