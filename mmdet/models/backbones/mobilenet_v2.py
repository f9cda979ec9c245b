"""MobileNetV2 (https://arxiv.org/abs/1801.04381)."""

from mmcv.cnn import ConvModule
from torch import nn

from mmdet.models.backbones.layers.mobilenet_base import MobileNetBase
from mmdet.models.backbones.resnet import scratch_init_cfg
from mmdet.models.builder import BACKBONES
from mmdet.models.utils.inverted_residual import InvertedResidual
from mmdet.models.utils.make_divisible import make_divisible
from mmdet.models.utils.weights import resolve_init_cfg

# Default arguments, never written to.
BATCH_NORM = dict(type='BN')
RELU6 = dict(type='ReLU6')

NUM_OUTPUTS = 8  # seven stages and the 1x1 convolution behind them


@BACKBONES.register_module()
class MobileNetV2(MobileNetBase):
    """A convolution of stride 2, seven stages of inverted residuals, and a 1x1 convolution.

    Args:
        widen_factor: multiplier of all widths. Default: 1.
        out_indices: outputs of ``forward``: 0 to 6 the stages (strides 2, 4, 8, 16, 16, 32, 32), 7 the last layer.
        frozen_stages: the first convolution and this many stages are kept as they are; -1: all are trained.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm. Default: batch normalisation.
        act_cfg: kind of activation. Default: ReLU6.
        norm_eval: batch statistics stay as they are in training. Default: False.
        with_cp: recompute activations in the backward pass. Default: False.
        pretrained: deprecated form of ``init_cfg=dict(type='Pretrained', checkpoint=...)``.
        init_cfg: initial values. Default: None, Kaiming. A checkpoint may have torchvision's names:
            ``dict(type='Pretrained', checkpoint='torchvision://mobilenet_v2')``.

    Raises:
        ValueError: ``out_indices`` or ``frozen_stages`` out of range.
    """

    # how often a block widens its input, width, number of blocks and stride of each stage
    arch_settings: list[list[int]] = [
        [1, 16, 1, 1],
        [6, 24, 2, 2],
        [6, 32, 3, 2],
        [6, 64, 4, 2],
        [6, 96, 3, 1],
        [6, 160, 3, 2],
        [6, 320, 1, 1],
    ]

    def __init__(
        self,
        widen_factor: float = 1.0,
        out_indices: tuple[int, ...] = (1, 2, 4, 7),
        frozen_stages: int = -1,
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        act_cfg: dict = RELU6,
        norm_eval: bool = False,
        with_cp: bool = False,
        pretrained: str | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        init_cfg = resolve_init_cfg(init_cfg, pretrained, scratch_init_cfg())
        super().__init__(len(self.arch_settings), NUM_OUTPUTS, out_indices, frozen_stages, norm_eval, init_cfg)
        self.pretrained = pretrained
        self.widen_factor = widen_factor
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self.act_cfg = act_cfg
        self.with_cp = with_cp

        settings = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.in_channels = make_divisible(32 * widen_factor, 8)
        self.conv1 = ConvModule(3, self.in_channels, kernel_size=3, stride=2, padding=1, **settings)
        for i, (expand_ratio, channels, num_blocks, stride) in enumerate(self.arch_settings, 1):
            out_channels = make_divisible(channels * widen_factor, 8)
            self._add_output(f'layer{i}', self.make_layer(out_channels, num_blocks, stride, expand_ratio))
        # the last layer is not made narrower
        self.out_channel = int(1280 * widen_factor) if widen_factor > 1 else 1280
        self._add_output('conv2', ConvModule(self.in_channels, self.out_channel, kernel_size=1, **settings))
        self._freeze_stages()

    def make_layer(self, out_channels: int, num_blocks: int, stride: int, expand_ratio: int) -> nn.Sequential:
        """Build a stage, whose first block has ``stride`` and whose blocks widen their input ``expand_ratio`` times."""
        blocks = []
        for i in range(num_blocks):
            blocks.append(
                InvertedResidual(
                    self.in_channels,
                    out_channels,
                    mid_channels=round(self.in_channels * expand_ratio),
                    stride=stride if i == 0 else 1,
                    with_expand_conv=expand_ratio != 1,
                    conv_cfg=self.conv_cfg,
                    norm_cfg=self.norm_cfg,
                    act_cfg=self.act_cfg,
                    with_cp=self.with_cp,
                )
            )
            self.in_channels = out_channels
        return nn.Sequential(*blocks)
