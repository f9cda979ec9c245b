"""Res2Net (https://arxiv.org/abs/1904.01169)."""

from typing import Any

from mmcv.cnn import build_conv_layer, build_norm_layer
from mmcv.runner import BaseModule, Sequential
from torch import Tensor, cat, nn

from mmdet.models.backbones.layers.resnet_blocks import Bottleneck
from mmdet.models.backbones.resnet import ResNet
from mmdet.models.builder import BACKBONES
from mmdet.models.options.fold_norm import norm_after_conv
from mmdet.models.utils.res_layer import make_downsample

# Default arguments, never written to.
BATCH_NORM = dict(type='BN')


class Bottle2neck(Bottleneck):
    """A bottleneck whose middle works on slices of the channels, each convolution seeing the slice before.

    Args:
        inplanes: channels of the input.
        planes: a quarter of the channels of the output.
        scales: number of slices; more than 1. Default: 4.
        base_width: channels of a slice in the first stage. Default: 26.
        base_channels: ``planes`` of the first stage. Default: 64.
        stage_type: 'normal', or 'stage' for the first block of a stage, where slices do not see each other.
        kwargs: as of ResNet's bottleneck.

    Raises:
        ValueError: fewer than two slices, or an unknown ``stage_type``.
    """

    def __init__(
        self,
        inplanes: int,
        planes: int,
        scales: int = 4,
        base_width: int = 26,
        base_channels: int = 64,
        stage_type: str = 'normal',
        **kwargs: Any,
    ) -> None:
        if scales < 2 or stage_type not in ('normal', 'stage'):
            raise ValueError(
                f"expected scales >= 2 and stage_type 'normal' or 'stage', got {scales} and {stage_type!r}"
            )
        self.scales = scales
        self.stage_type = stage_type
        self.width = int(planes * base_width / base_channels)
        super().__init__(inplanes, planes, width=self.width * scales, **kwargs)
        self._make_slices()

    def _make_middle(self, width: int, groups: int) -> None:
        """No layer: in the order of checkpoint keys the slices come last; the name of the norm that 2.x reserves."""
        self.norm2_name = build_norm_layer(self.norm_cfg, width, postfix=2)[0]

    def _make_slices(self) -> None:
        """Build a 3x3 convolution and a norm for each slice but the last."""
        conv_cfg = self._middle_conv_cfg()
        self.convs = nn.ModuleList(
            build_conv_layer(
                conv_cfg,
                self.width,
                self.width,
                kernel_size=3,
                stride=self.conv2_stride,
                padding=self.dilation,
                dilation=self.dilation,
                bias=False,
            )
            for _ in range(self.scales - 1)
        )
        self.bns = nn.ModuleList(build_norm_layer(self.norm_cfg, self.width)[1] for _ in range(self.scales - 1))
        if self.stage_type == 'stage' and self.conv2_stride != 1:
            self.pool = nn.AvgPool2d(kernel_size=3, stride=self.conv2_stride, padding=1)

    def _middle(self, x: Tensor) -> Tensor:
        *slices, last = x.split(self.width, dim=1)
        outs: list[Tensor] = []
        for piece, conv, norm in zip(slices, self.convs, self.bns):
            sees_previous = outs and self.stage_type == 'normal'
            seen = piece + outs[-1] if sees_previous else piece.contiguous()
            outs.append(self.relu(norm_after_conv(conv, norm, seen)))
        outs.append(self.pool(last) if hasattr(self, 'pool') else last)
        return cat(outs, dim=1)


class Res2Layer(Sequential):
    """Blocks in a row, the first of which changes resolution and width.

    Args:
        block: class of the blocks.
        inplanes: channels of the input.
        planes: inner channels of a block; the output has ``planes * block.expansion``.
        num_blocks: number of blocks.
        stride: of the first block. Default: 1.
        avg_down: stride on the shortcut by average pooling. Default: True.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm. Default: batch normalisation.
        scales, base_width: of the blocks.
        kwargs: further arguments of every block.
    """

    def __init__(
        self,
        block: type[BaseModule],
        inplanes: int,
        planes: int,
        num_blocks: int,
        stride: int = 1,
        avg_down: bool = True,
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        scales: int = 4,
        base_width: int = 26,
        **kwargs: Any,
    ) -> None:
        self.block = block
        outplanes = planes * block.expansion
        downsample = None
        if stride != 1 or inplanes != outplanes:
            downsample = make_downsample(inplanes, outplanes, stride, avg_down, conv_cfg, norm_cfg)
        kwargs = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, scales=scales, base_width=base_width, **kwargs)
        first = block(inplanes, planes, stride=stride, downsample=downsample, stage_type='stage', **kwargs)
        super().__init__(first, *(block(outplanes, planes, stride=1, **kwargs) for _ in range(num_blocks - 1)))


@BACKBONES.register_module()
class Res2Net(ResNet):
    """ResNet with ``Bottle2neck`` blocks, a deep stem and average pooling on shortcuts.

    Args:
        scales: slices of a block. Default: 4.
        base_width: channels of a slice in the first stage. Default: 26.
        style, deep_stem, avg_down, pretrained, init_cfg, kwargs: as of ``ResNet``; the depth is 50, 101 or 152.
    """

    arch_settings = {
        50: (Bottle2neck, (3, 4, 6, 3)),
        101: (Bottle2neck, (3, 4, 23, 3)),
        152: (Bottle2neck, (3, 8, 36, 3)),
    }

    def __init__(
        self,
        scales: int = 4,
        base_width: int = 26,
        style: str = 'pytorch',
        deep_stem: bool = True,
        avg_down: bool = True,
        pretrained: str | None = None,
        init_cfg: dict | list[dict] | None = None,
        **kwargs: Any,
    ) -> None:
        self.scales = scales  # before the parent's constructor, which builds the stages
        self.base_width = base_width
        super().__init__(
            style=style, deep_stem=deep_stem, avg_down=avg_down, pretrained=pretrained, init_cfg=init_cfg, **kwargs
        )

    def make_res_layer(self, **kwargs: Any) -> Res2Layer:
        """Build one stage."""
        return Res2Layer(scales=self.scales, base_width=self.base_width, base_channels=self.base_channels, **kwargs)
