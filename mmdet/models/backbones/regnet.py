"""RegNet (https://arxiv.org/abs/2003.13678): stage widths from a quantised line."""

from typing import Any

import numpy as np
from mmcv.cnn import build_conv_layer
from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.models.backbones.layers.resnet_blocks import Bottleneck, add_norm
from mmdet.models.backbones.resnet import ResNet
from mmdet.models.builder import BACKBONES
from mmdet.utils.registry import did_you_mean

# Default arguments, never written to.
BATCH_NORM = dict(type='BN', requires_grad=True)


class RegNetBottleneck(Bottleneck):
    """A bottleneck whose output has ``planes`` channels."""

    expansion = 1


@BACKBONES.register_module()
class RegNet(ResNet):
    """RegNet: ResNet's blocks with other widths and numbers, and a stem of one 3x3 convolution of stride 2.

    Args:
        arch: a name of ``arch_settings``, or its values: ``w0``, ``wa`` and ``wm`` (block j is about ``w0 + wa * j``
            wide, rounded to ``w0 * wm**k``), ``depth`` (number of blocks), ``group_w`` (channels a group) and
            ``bot_mul`` (width of the 3x3 convolution over that of the block).
        stem_channels: channels behind the stem. Default: 32.
        base_channels: no effect; the widths come from ``arch``.
        strides: of each stage; all 2 by default.
        deep_stem: must be False.
        in_channels, dilations, out_indices, style, avg_down, frozen_stages, conv_cfg, norm_cfg, norm_eval, dcn,
            stage_with_dcn, plugins, with_cp, zero_init_residual, pretrained, init_cfg: as of ``ResNet``.

    Raises:
        KeyError: unknown name, or a value is missing.
        ValueError: ``deep_stem``, or arguments that do not fit each other.
    """

    arch_settings: dict[str, dict[str, float]] = {
        'regnetx_400mf': dict(w0=24, wa=24.48, wm=2.54, group_w=16, depth=22, bot_mul=1.0),
        'regnetx_800mf': dict(w0=56, wa=35.73, wm=2.28, group_w=16, depth=16, bot_mul=1.0),
        'regnetx_1.6gf': dict(w0=80, wa=34.01, wm=2.25, group_w=24, depth=18, bot_mul=1.0),
        'regnetx_3.2gf': dict(w0=88, wa=26.31, wm=2.25, group_w=48, depth=25, bot_mul=1.0),
        'regnetx_4.0gf': dict(w0=96, wa=38.65, wm=2.43, group_w=40, depth=23, bot_mul=1.0),
        'regnetx_6.4gf': dict(w0=184, wa=60.83, wm=2.07, group_w=56, depth=17, bot_mul=1.0),
        'regnetx_8.0gf': dict(w0=80, wa=49.56, wm=2.88, group_w=120, depth=23, bot_mul=1.0),
        'regnetx_12gf': dict(w0=168, wa=73.36, wm=2.37, group_w=112, depth=19, bot_mul=1.0),
    }

    def __init__(
        self,
        arch: str | dict[str, float],
        in_channels: int = 3,
        stem_channels: int = 32,
        base_channels: int = 32,
        strides: tuple[int, ...] = (2, 2, 2, 2),
        dilations: tuple[int, ...] = (1, 1, 1, 1),
        out_indices: tuple[int, ...] = (0, 1, 2, 3),
        style: str = 'pytorch',
        deep_stem: bool = False,
        avg_down: bool = False,
        frozen_stages: int = -1,
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        norm_eval: bool = True,
        dcn: dict | None = None,
        stage_with_dcn: tuple[bool, ...] = (False, False, False, False),
        plugins: list[dict] | None = None,
        with_cp: bool = False,
        zero_init_residual: bool = True,
        pretrained: str | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        if deep_stem:
            raise ValueError('RegNet has no deep stem; leave deep_stem=False')
        super().__init__(
            depth=arch,
            in_channels=in_channels,
            stem_channels=stem_channels,
            base_channels=base_channels,
            num_stages=len(strides),
            strides=strides,
            dilations=dilations,
            out_indices=out_indices,
            style=style,
            avg_down=avg_down,
            frozen_stages=frozen_stages,
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg,
            norm_eval=norm_eval,
            dcn=dcn,
            stage_with_dcn=stage_with_dcn,
            plugins=plugins,
            with_cp=with_cp,
            zero_init_residual=zero_init_residual,
            pretrained=pretrained,
            init_cfg=init_cfg,
        )

    def _look_up(self, depth: str | dict[str, float]) -> tuple[type[BaseModule], tuple[int, ...]]:
        """The kind of block and how many of them each stage has; sets the widths. ``depth`` is the ``arch``."""
        if isinstance(depth, str) and depth not in self.arch_settings:
            known = list(self.arch_settings)
            raise KeyError(f'unknown RegNet {depth!r}{did_you_mean(depth, known)} Known: {", ".join(known)}')
        arch = self.arch_settings[depth] if isinstance(depth, str) else depth
        missing = sorted({'w0', 'wa', 'wm', 'depth', 'group_w', 'bot_mul'} - set(arch))
        if missing:
            raise KeyError(f'the arch of a RegNet lacks {missing}')
        widths, stages = self.generate_regnet(arch['w0'], arch['wa'], arch['wm'], arch['depth'])
        stage_widths, stage_blocks = self.get_stages_from_blocks(widths)
        self.bottleneck_ratio = [arch['bot_mul']] * stages
        self.stage_widths, self.group_widths = self.adjust_width_group(
            stage_widths, self.bottleneck_ratio, [arch['group_w']] * stages
        )
        return RegNetBottleneck, tuple(stage_blocks)

    @staticmethod
    def quantize_float(number: float, divisor: int) -> int:
        """The multiple of ``divisor`` nearest to ``number``."""
        return int(round(number / divisor) * divisor)

    def generate_regnet(
        self, initial_width: int, width_slope: float, width_parameter: float, depth: int, divisor: int = 8
    ) -> tuple[list[int], int]:
        """The width of each block, and the number of different ones.

        Args:
            initial_width: w0, width of the first block.
            width_slope: wa, how much wider the next one is, before rounding.
            width_parameter: wm; widths are rounded to ``w0 * wm**k`` with whole k.
            depth: number of blocks.
            divisor: of all widths.
        """
        line = np.arange(depth) * width_slope + initial_width
        exponents = np.round(np.log(line / initial_width) / np.log(width_parameter))
        widths = initial_width * np.power(width_parameter, exponents)
        widths = (np.round(widths / divisor) * divisor).astype(int).tolist()
        return widths, len(set(widths))

    def adjust_width_group(
        self, widths: list[int], bottleneck_ratio: list[float], groups: list[int]
    ) -> tuple[list[int], list[int]]:
        """Widths that whole groups fill, and the widths of the groups, stage by stage."""
        inner = [int(width * ratio) for width, ratio in zip(widths, bottleneck_ratio)]
        groups = [min(group, width) for group, width in zip(groups, inner)]
        inner = [self.quantize_float(width, group) for width, group in zip(inner, groups)]
        return [int(width / ratio) for width, ratio in zip(inner, bottleneck_ratio)], groups

    def get_stages_from_blocks(self, widths: list[int]) -> tuple[list[int], list[int]]:
        """Widths of the blocks to the width and the number of blocks of each stage."""
        stage_widths = list(dict.fromkeys(widths))
        return stage_widths, [widths.count(width) for width in stage_widths]

    def _make_stem_layer(self, in_channels: int, base_channels: int) -> None:
        """Build the only convolution before the first stage, of stride 2."""
        self.conv1 = build_conv_layer(
            self.conv_cfg, in_channels, base_channels, kernel_size=3, stride=2, padding=1, bias=False
        )
        self.norm1_name = add_norm(self, self.norm_cfg, base_channels, 1)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity()

    def _stage_settings(self, i: int) -> dict[str, Any]:
        """What ``make_res_layer`` gets for stage ``i``."""
        planes = self.stage_widths[i]
        width = round(planes * self.bottleneck_ratio[i])
        return dict(super()._stage_settings(i), planes=planes, width=width, groups=width // self.group_widths[i])

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Images ``(N, in_channels, H, W)`` to the outputs of the stages in ``out_indices``, of stride 4, 8, 16, 32."""
        return super().forward(x)
