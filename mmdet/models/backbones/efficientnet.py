"""EfficientNet (https://arxiv.org/abs/1905.11946) and its EdgeTPU variants."""

import math
from typing import Any, NamedTuple

import torch
from mmcv.cnn import ConvModule
from mmcv.cnn.bricks import DropPath
from mmcv.runner import BaseModule, Sequential
from torch import Tensor, nn

from mmdet.models.builder import BACKBONES
from mmdet.models.utils.inverted_residual import InvertedResidual
from mmdet.models.utils.make_divisible import make_divisible
from mmdet.models.utils.se_layer import SELayer
from mmdet.models.utils.weights import PartlyFrozen, freeze, run_block
from mmdet.utils.registry import did_you_mean

# Default arguments, never written to.
BATCH_NORM = dict(type='BN')
RELU = dict(type='ReLU')
CONV = dict(type='Conv2dAdaptivePadding')
SMALL_EPS_NORM = dict(type='BN', eps=1e-3)
SWISH = dict(type='Swish')
INIT = [
    dict(type='Kaiming', layer='Conv2d'),
    dict(type='Constant', layer=['_BatchNorm', 'GroupNorm'], val=1),
]


class EdgeResidual(BaseModule):
    """Widen by a k x k convolution, narrow by a 1x1 convolution; with a shortcut.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        mid_channels: channels in between.
        kernel_size: of the first convolution. Default: 3.
        stride: of the first convolution, 1 or 2. Default: 1.
        se_cfg: arguments of a ``SELayer`` in between. Default: None, no such layer.
        with_residual: have the shortcut, where input and output have equal shapes. Default: True.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm. Default: batch normalisation.
        act_cfg: kind of activation. Default: ReLU.
        drop_path_rate: probability that an image skips the block's layers in training. Default: 0.
        with_cp: recompute activations in the backward pass. Default: False.
        init_cfg: initial values. Default: None.
        kwargs: what an ``InvertedResidual`` would take beside; no effect.

    Raises:
        ValueError: another stride than 1 and 2.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        mid_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        se_cfg: dict | None = None,
        with_residual: bool = True,
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        act_cfg: dict = RELU,
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(init_cfg)
        if stride not in (1, 2):
            raise ValueError(f'stride: expected 1 or 2, got {stride}')
        self.with_cp = with_cp
        self.with_se = se_cfg is not None
        self.with_residual = with_residual and stride == 1 and in_channels == out_channels
        settings = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg)
        self.conv1 = ConvModule(
            in_channels,
            mid_channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            act_cfg=act_cfg,
            **settings,
        )
        if se_cfg is not None:
            self.se = SELayer(**se_cfg)
        self.conv2 = ConvModule(mid_channels, out_channels, 1, act_cfg=None, **settings)
        self.drop_path = DropPath(drop_path_rate) if drop_path_rate > 0 else nn.Identity()

    def _layers(self, x: Tensor) -> Tensor:
        out = self.conv1(x)
        out = self.conv2(self.se(out) if self.with_se else out)
        return x + self.drop_path(out) if self.with_residual else out

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, out_channels, H / stride, W / stride)``."""
        return run_block(self._layers, x, self.with_cp)


class BlockGroup(NamedTuple):
    """Blocks behind each other that differ in nothing but the first one's stride and input."""

    kernel_size: int
    out_channels: int
    se_ratio: int  # the gates of a block are computed from that many times fewer numbers than it has inputs; 0: none
    stride: int  # of the first block
    expand_ratio: int  # channels in between, as a multiple of the input's
    repeats: int = 1
    edge: bool = False  # of ``EdgeResidual`` instead of ``InvertedResidual``
    plain: bool = False  # no shortcuts, and channels in between are a multiple of the output's


# groups of the stages of strides 2, 4, 8, 16 and 32, with the first convolution before and the last one behind
LayerSetting = tuple[tuple[BlockGroup, ...], ...]
STEM = (BlockGroup(3, 32, 0, 2, 0),)
HEAD = (BlockGroup(1, 1280, 0, 1, 0),)


def model_scaling(layer_setting: LayerSetting, arch_setting: tuple[float, float]) -> LayerSetting:
    """Widths and depths of a family's smallest member, multiplied.

    Args:
        layer_setting: the groups of blocks of each layer; the first and the last layer keep their depth.
        arch_setting: factor of the width, factor of the depth; more entries are ignored.

    Returns:
        The same with widths divisible by 8 and depths rounded up.
    """
    width, depth = arch_setting[:2]

    def scaled(group: BlockGroup, deepen: bool) -> BlockGroup:
        return group._replace(
            out_channels=make_divisible(group.out_channels * width, 8),
            repeats=math.ceil(group.repeats * depth) if deepen else group.repeats,
        )

    last = len(layer_setting) - 1
    return tuple(
        tuple(scaled(group, deepen=0 < i < last) for group in groups) for i, groups in enumerate(layer_setting)
    )


@BACKBONES.register_module()
class EfficientNet(PartlyFrozen, BaseModule):
    """A convolution of stride 2, five stages of blocks, and a 1x1 convolution.

    Args:
        arch: 'b0' to 'b8', 'es', 'em' or 'el'. Default: 'b0'.
        drop_path_rate: probability that an image skips the last block's layers; it grows linearly from 0 at the
            first block. Default: 0.
        out_indices: outputs of ``forward``: 0 the first convolution, 1 to 5 the stages (strides 2, 4, 8, 16, 32),
            6 the last layer. Layers behind the last of them are not built. Default: (6,).
        frozen_stages: this many of these layers are kept as they are. Default: 0.
        conv_cfg: kind of convolution. Default: one that pads as TensorFlow does.
        norm_cfg: kind of norm. Default: batch normalisation.
        act_cfg: kind of activation. Default: Swish.
        norm_eval: batch statistics stay as they are in training. Default: False.
        with_cp: recompute activations in the backward pass. Default: False.
        init_cfg: initial values. Default: Kaiming.

    Raises:
        KeyError: unknown ``arch``.
        ValueError: ``out_indices`` or ``frozen_stages`` out of range.
    """

    layer_settings: dict[str, LayerSetting] = {
        'b': (
            STEM,
            (BlockGroup(3, 16, 4, 1, 1),),
            (BlockGroup(3, 24, 4, 2, 6, 2),),
            (BlockGroup(5, 40, 4, 2, 6, 2),),
            (BlockGroup(3, 80, 4, 2, 6, 3), BlockGroup(5, 112, 4, 1, 6, 3)),
            (BlockGroup(5, 192, 4, 2, 6, 4), BlockGroup(3, 320, 4, 1, 6, 1)),
            HEAD,
        ),
        'e': (
            STEM,
            (BlockGroup(3, 24, 0, 1, 4, 1, edge=True, plain=True),),
            (BlockGroup(3, 32, 0, 2, 8, 2, edge=True),),
            (BlockGroup(3, 48, 0, 2, 8, 4, edge=True),),
            (BlockGroup(5, 96, 0, 2, 8, 5), BlockGroup(5, 144, 0, 1, 8, 4)),
            (BlockGroup(5, 192, 0, 2, 8, 2),),
            HEAD,
        ),
    }
    # factors of width and depth, and the size of the images that they were chosen for
    arch_settings: dict[str, tuple[float, float, int]] = {
        'b0': (1.0, 1.0, 224),
        'b1': (1.0, 1.1, 240),
        'b2': (1.1, 1.2, 260),
        'b3': (1.2, 1.4, 300),
        'b4': (1.4, 1.8, 380),
        'b5': (1.6, 2.2, 456),
        'b6': (1.8, 2.6, 528),
        'b7': (2.0, 3.1, 600),
        'b8': (2.2, 3.6, 672),
        'es': (1.0, 1.0, 224),
        'em': (1.0, 1.1, 240),
        'el': (1.2, 1.4, 300),
    }

    def __init__(
        self,
        arch: str = 'b0',
        drop_path_rate: float = 0.0,
        out_indices: tuple[int, ...] = (6,),
        frozen_stages: int = 0,
        conv_cfg: dict = CONV,
        norm_cfg: dict = SMALL_EPS_NORM,
        act_cfg: dict = SWISH,
        norm_eval: bool = False,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = INIT,
    ) -> None:
        super().__init__(init_cfg)
        if arch not in self.arch_settings:
            known = ', '.join(self.arch_settings)
            raise KeyError(f'arch: {arch!r} is unknown{did_you_mean(arch, self.arch_settings)} Known: {known}')
        self.arch_setting = self.arch_settings[arch]
        self.layer_setting = model_scaling(self.layer_settings[arch[:1]], self.arch_setting)
        layers = len(self.layer_setting)
        if not out_indices or not set(out_indices) <= set(range(layers)):
            raise ValueError(f'out_indices: expected numbers in [0, {layers}), got {out_indices}')
        if not 0 <= frozen_stages <= layers:
            raise ValueError(f'frozen_stages: expected a number in [0, {layers}], got {frozen_stages}')
        self.out_indices = out_indices
        self.frozen_stages = frozen_stages
        self.drop_path_rate = drop_path_rate
        self.norm_eval = norm_eval
        self.with_cp = with_cp
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self.act_cfg = act_cfg
        self.settings = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        stem = self.layer_setting[0][0]
        self.in_channels = stem.out_channels
        self.out_channels = self.layer_setting[-1][0].out_channels
        self.layers = nn.ModuleList()
        self.layers.append(
            ConvModule(
                3,
                stem.out_channels,
                stem.kernel_size,
                stride=stem.stride,
                padding=stem.kernel_size // 2,
                **self.settings,
            )
        )
        self.make_layer()
        if max(out_indices) == layers - 1:
            self.layers.append(ConvModule(self.in_channels, self.out_channels, 1, **self.settings))

    def make_layer(self) -> None:
        """Build the stages up to the last one that is asked for."""
        stages = self.layer_setting[1:-1]
        total = sum(group.repeats for groups in stages for group in groups)
        rates = iter(torch.linspace(0, self.drop_path_rate, total).tolist())
        for groups in stages[: max(self.out_indices)]:
            blocks = []
            for group in groups:
                for i in range(group.repeats):
                    blocks.append(self._block(group, group.stride if i == 0 else 1, next(rates)))
            self.layers.append(Sequential(*blocks))

    def _block(self, group: BlockGroup, stride: int, drop_path_rate: float) -> nn.Module:
        """The next block, of a group."""
        mid_channels = (group.out_channels if group.plain else self.in_channels) * group.expand_ratio
        squeeze = dict(
            channels=mid_channels,
            ratio=group.expand_ratio * group.se_ratio,
            act_cfg=(self.act_cfg, dict(type='Sigmoid')),
        )
        block = (EdgeResidual if group.edge else InvertedResidual)(
            self.in_channels,
            group.out_channels,
            mid_channels,
            kernel_size=group.kernel_size,
            stride=stride,
            se_cfg=squeeze if group.se_ratio else None,
            with_expand_conv=mid_channels != self.in_channels,
            drop_path_rate=drop_path_rate,
            with_cp=self.with_cp,
            **self.settings,
            **(dict(with_residual=not group.plain) if group.edge else {}),
        )
        self.in_channels = group.out_channels
        return block

    def _freeze_stages(self) -> None:
        """Keep the first ``frozen_stages`` layers as they are."""
        freeze(*self.layers[: self.frozen_stages])

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Images ``(N, 3, H, W)`` to the outputs in ``out_indices``."""
        outs = []
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i in self.out_indices:
                outs.append(x)
        return tuple(outs)
