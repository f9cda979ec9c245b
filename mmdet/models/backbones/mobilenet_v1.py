"""MobileNet (https://arxiv.org/abs/1704.04861)."""

from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from torch import nn

from mmdet.models.backbones.layers.mobilenet_base import MobileNetBase
from mmdet.models.backbones.resnet import scratch_init_cfg
from mmdet.models.builder import BACKBONES
from mmdet.models.utils.make_divisible import make_divisible
from mmdet.models.utils.weights import resolve_init_cfg

# Default arguments, never written to.
BATCH_NORM = dict(type='BN')
RELU = dict(type='ReLU')


@BACKBONES.register_module()
class MobileNetV1(MobileNetBase):
    """A convolution of stride 2 and five stages of depthwise separable convolutions.

    Args:
        widen_factor: multiplier of all widths. Default: 1.
        out_indices: stages whose outputs ``forward`` gives: strides 2, 4, 8, 16, 32 with 64, 128, 256, 512 and 1024
            channels. Stages behind the last of them are not built. Default: (1, 2, 3, 4), as a pyramid wants them.
        frozen_stages: the first convolution and this many stages are kept as they are; -1: all are trained.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm. Default: batch normalisation.
        act_cfg: kind of activation. Default: ReLU.
        norm_eval: batch statistics stay as they are in training. Default: False.
        pretrained: deprecated form of ``init_cfg=dict(type='Pretrained', checkpoint=...)``.
        init_cfg: initial values. Default: None, Kaiming.

    Raises:
        ValueError: ``out_indices`` or ``frozen_stages`` out of range.
    """

    # width, number of convolutions and stride of each stage
    arch_settings: tuple[tuple[int, int, int], ...] = ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2))

    def __init__(
        self,
        widen_factor: float = 1.0,
        out_indices: tuple[int, ...] = (1, 2, 3, 4),
        frozen_stages: int = -1,
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        act_cfg: dict = RELU,
        norm_eval: bool = False,
        pretrained: str | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        init_cfg = resolve_init_cfg(init_cfg, pretrained, scratch_init_cfg())
        super().__init__(
            len(self.arch_settings), len(self.arch_settings), out_indices, frozen_stages, norm_eval, init_cfg
        )
        settings = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        channels = make_divisible(32 * widen_factor, 8)
        self.conv1 = ConvModule(3, channels, 3, stride=2, padding=1, **settings)
        for i, (width, depth, stride) in enumerate(self.arch_settings[: max(out_indices) + 1], 1):
            blocks = []
            for j in range(depth):
                out_channels = make_divisible(width * widen_factor, 8)
                blocks.append(
                    DepthwiseSeparableConvModule(
                        channels, out_channels, 3, stride=stride if j == 0 else 1, padding=1, **settings
                    )
                )
                channels = out_channels
            self._add_output(f'layer{i}', nn.Sequential(*blocks))
        self._freeze_stages()
