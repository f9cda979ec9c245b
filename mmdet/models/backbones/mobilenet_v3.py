"""MobileNetV3 (https://arxiv.org/abs/1905.02244)."""

from typing import NamedTuple

from mmcv.cnn import ConvModule
from torch import nn

from mmdet.models.backbones.layers.mobilenet_base import MobileNetBase
from mmdet.models.backbones.resnet import scratch_init_cfg
from mmdet.models.builder import BACKBONES
from mmdet.models.utils.inverted_residual import InvertedResidual
from mmdet.models.utils.make_divisible import make_divisible
from mmdet.models.utils.weights import resolve_init_cfg
from mmdet.utils.registry import did_you_mean

# Default arguments, never written to.
BATCH_NORM = dict(type='BN', eps=0.001, momentum=0.01)


class Block(NamedTuple):
    """One row of the paper's tables 1 and 2."""

    kernel_size: int
    mid_channels: int
    out_channels: int
    squeeze: bool  # has squeeze and excitation
    act: str
    stride: int


@BACKBONES.register_module()
class MobileNetV3(MobileNetBase):
    """A convolution of stride 2, five stages of inverted residuals with squeeze and excitation, a 1x1 convolution.

    Args:
        arch: 'large', 'small', or 'large_split': as 'large', with the last stage in two, its first block as stage 4
            and the others as stage 5; torchvision's pyramids take the output between. Default: 'large'.
        widen_factor: multiplier of all widths. Default: 1.
        out_indices: outputs of ``forward``: 0 to 4 the stages of strides 2, 4, 8, 16, 32 (channels of 'large': 16, 24,
            40, 112, 160; of 'small': 16, 16, 24, 48, 96), 5 the last layer (960; 576). Stage 0 of 'small' has no
            block: its output is the first convolution's. Layers behind the last of them are not built, so that none
            is without a gradient. Default: (1, 2, 3, 4), as a pyramid wants them.
        frozen_stages: the first convolution and this many stages are kept as they are; -1: all are trained.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm. Default: batch normalisation with the paper's numbers.
        norm_eval: batch statistics stay as they are in training. Default: False.
        with_cp: recompute activations in the backward pass. Default: False.
        pretrained: deprecated form of ``init_cfg=dict(type='Pretrained', checkpoint=...)``.
        init_cfg: initial values. Default: None, Kaiming. A checkpoint may have torchvision's names:
            ``dict(type='Pretrained', checkpoint='torchvision://mobilenet_v3_large')``.

    Raises:
        KeyError: unknown ``arch``.
        ValueError: ``out_indices`` or ``frozen_stages`` out of range.
    """

    # the blocks of each stage
    arch_settings: dict[str, tuple[tuple[Block, ...], ...]] = {
        'large': (
            (Block(3, 16, 16, False, 'ReLU', 1),),
            (Block(3, 64, 24, False, 'ReLU', 2), Block(3, 72, 24, False, 'ReLU', 1)),
            (Block(5, 72, 40, True, 'ReLU', 2), *[Block(5, 120, 40, True, 'ReLU', 1)] * 2),
            (
                Block(3, 240, 80, False, 'HSwish', 2),
                Block(3, 200, 80, False, 'HSwish', 1),
                *[Block(3, 184, 80, False, 'HSwish', 1)] * 2,
                Block(3, 480, 112, True, 'HSwish', 1),
                Block(3, 672, 112, True, 'HSwish', 1),
            ),
            (Block(5, 672, 160, True, 'HSwish', 2), *[Block(5, 960, 160, True, 'HSwish', 1)] * 2),
        ),
        'small': (
            (),
            (Block(3, 16, 16, True, 'ReLU', 2),),
            (Block(3, 72, 24, False, 'ReLU', 2), Block(3, 88, 24, False, 'ReLU', 1)),
            (
                Block(5, 96, 40, True, 'HSwish', 2),
                *[Block(5, 240, 40, True, 'HSwish', 1)] * 2,
                Block(5, 120, 48, True, 'HSwish', 1),
                Block(5, 144, 48, True, 'HSwish', 1),
            ),
            (Block(5, 288, 96, True, 'HSwish', 2), *[Block(5, 576, 96, True, 'HSwish', 1)] * 2),
        ),
    }
    arch_settings['large_split'] = (
        *arch_settings['large'][:-1],
        arch_settings['large'][-1][:1],
        arch_settings['large'][-1][1:],
    )

    def __init__(
        self,
        arch: str = 'large',
        widen_factor: float = 1.0,
        out_indices: tuple[int, ...] = (1, 2, 3, 4),
        frozen_stages: int = -1,
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        norm_eval: bool = False,
        with_cp: bool = False,
        pretrained: str | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        if arch not in self.arch_settings:
            known = ', '.join(map(repr, self.arch_settings))
            raise KeyError(f'arch: expected one of {known}, got {arch!r}{did_you_mean(arch, self.arch_settings)}')
        init_cfg = resolve_init_cfg(init_cfg, pretrained, scratch_init_cfg())
        num_stages = len(self.arch_settings[arch])  # the 1x1 convolution comes behind them
        super().__init__(num_stages, num_stages + 1, out_indices, frozen_stages, norm_eval, init_cfg)
        settings = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg)
        hard_swish = dict(type='HSwish')
        channels = make_divisible(16 * widen_factor, 8)
        self.conv1 = ConvModule(3, channels, 3, stride=2, padding=1, act_cfg=hard_swish, **settings)
        for i, stage in enumerate(self.arch_settings[arch][: max(out_indices) + 1], 1):
            blocks = []
            for row in stage:
                blocks.append(make_block(row, channels, widen_factor, with_cp=with_cp, **settings))
                channels = make_divisible(row.out_channels * widen_factor, 8)
            self._add_output(f'layer{i}', nn.Sequential(*blocks))
        if max(out_indices) == num_stages:
            self._add_output('conv2', ConvModule(channels, 6 * channels, 1, act_cfg=hard_swish, **settings))
        self._freeze_stages()


def make_block(row: Block, in_channels: int, widen_factor: float, **settings: object) -> InvertedResidual:
    """The block of a row of the tables, with all widths multiplied."""
    mid_channels = make_divisible(row.mid_channels * widen_factor, 8)
    squeezed = make_divisible(mid_channels // 4, 8)
    squeeze_cfg = dict(
        channels=mid_channels,
        # the layer takes the whole part of channels / ratio
        ratio=mid_channels / (squeezed + 0.5),
        act_cfg=(dict(type='ReLU'), dict(type='HSigmoid', bias=3.0, divisor=6.0)),
    )
    return InvertedResidual(
        in_channels,
        make_divisible(row.out_channels * widen_factor, 8),
        mid_channels,
        kernel_size=row.kernel_size,
        stride=row.stride,
        se_cfg=squeeze_cfg if row.squeeze else None,
        with_expand_conv=mid_channels != in_channels,
        act_cfg=dict(type=row.act),
        **settings,
    )
