"""The path aggregation network of YOLOX (https://arxiv.org/abs/2107.08430): levels are joined, not added."""

import math
from typing import Any

from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from mmcv.runner import BaseModule
from torch import Tensor, cat, nn

from mmdet.models.builder import NECKS
from mmdet.models.necks.levels import check_inputs
from mmdet.models.utils.csp_layer import CSPLayer

# Default arguments; every builder copies them.
NEAREST = dict(scale_factor=2, mode='nearest')
BATCH_NORM = dict(type='BN', momentum=0.03, eps=0.001)
SWISH = dict(type='Swish')
UNIFORM = dict(  # as torch fills its convolutions
    type='Kaiming', layer='Conv2d', a=math.sqrt(5), distribution='uniform', mode='fan_in', nonlinearity='leaky_relu'
)


@NECKS.register_module()
class YOLOXPAFPN(BaseModule):
    """From coarse to fine and back, a cross-stage partial layer after each step.

    Args:
        in_channels: channels of each input, finest first; each input has half the sides of the one before.
        out_channels: channels of every output.
        num_csp_blocks: blocks of each cross-stage partial layer. Default: 3.
        use_depthwise: depthwise separable convolutions. Default: False.
        upsample_cfg: arguments of ``nn.Upsample``. Default: nearest cells, by 2.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm. Default: batch normalisation.
        act_cfg: kind of activation. Default: Swish.
        init_cfg: initial values. Default: Kaiming, uniform, for a leaky ReLU.
    """

    def __init__(
        self,
        in_channels: list[int],
        out_channels: int,
        num_csp_blocks: int = 3,
        use_depthwise: bool = False,
        upsample_cfg: dict = NEAREST,
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        act_cfg: dict = SWISH,
        init_cfg: dict | list[dict] | None = UNIFORM,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.out_channels = out_channels
        settings = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        blocks: dict[str, Any] = dict(
            num_blocks=num_csp_blocks, add_identity=False, use_depthwise=use_depthwise, **settings
        )
        conv = DepthwiseSeparableConvModule if use_depthwise else ConvModule
        pairs = list(zip(in_channels, in_channels[1:]))  # (finer, coarser)
        self.upsample = nn.Upsample(**upsample_cfg)
        self.reduce_layers = nn.ModuleList(ConvModule(coarse, fine, 1, **settings) for fine, coarse in pairs[::-1])
        self.top_down_blocks = nn.ModuleList(CSPLayer(fine * 2, fine, **blocks) for fine, _ in pairs[::-1])
        self.downsamples = nn.ModuleList(conv(fine, fine, 3, stride=2, padding=1, **settings) for fine, _ in pairs)
        self.bottom_up_blocks = nn.ModuleList(CSPLayer(fine * 2, coarse, **blocks) for fine, coarse in pairs)
        self.out_convs = nn.ModuleList(ConvModule(width, out_channels, 1, **settings) for width in in_channels)

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Maps ``(N, in_channels[i], H_i, W_i)``, finest first, to maps of the same sizes with ``out_channels``.

        Raises:
            ValueError: another number of inputs than ``in_channels`` has.
        """
        check_inputs(type(self).__name__, inputs, len(self.in_channels))
        reduced, level = [], inputs[-1]  # coarsest first
        for fine, reduce, block in zip(inputs[-2::-1], self.reduce_layers, self.top_down_blocks):
            reduced.append(reduce(level))
            level = block(cat([self.upsample(reduced[-1]), fine], dim=1))
        outs = [level]
        for coarse, downsample, block in zip(reduced[::-1], self.downsamples, self.bottom_up_blocks):
            outs.append(block(cat([downsample(outs[-1]), coarse], dim=1)))
        return tuple(conv(out) for conv, out in zip(self.out_convs, outs))
