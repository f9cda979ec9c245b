"""The neck of YOLOv3 (https://arxiv.org/abs/1804.02767): from coarse to fine, joining each level with the next."""

from typing import Any

from mmcv.cnn import ConvModule
from mmcv.runner import BaseModule
from torch import Tensor, cat
from torch.nn import functional

from mmdet.models.builder import NECKS
from mmdet.models.necks.levels import check_inputs

# Default arguments; every builder copies them.
BATCH_NORM = dict(type='BN', requires_grad=True)
LEAKY_RELU = dict(type='LeakyReLU', negative_slope=0.1)


class DetectionBlock(BaseModule):
    """Five convolutions: 1x1 to ``out_channels``, and twice 3x3 to the double and 1x1 back.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm. Default: batch normalisation.
        act_cfg: kind of activation. Default: leaky ReLU.
        init_cfg: initial values. Default: None.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        act_cfg: dict = LEAKY_RELU,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        settings = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.conv1 = ConvModule(in_channels, out_channels, 1, **settings)
        self.conv2 = ConvModule(out_channels, out_channels * 2, 3, padding=1, **settings)
        self.conv3 = ConvModule(out_channels * 2, out_channels, 1, **settings)
        self.conv4 = ConvModule(out_channels, out_channels * 2, 3, padding=1, **settings)
        self.conv5 = ConvModule(out_channels * 2, out_channels, 1, **settings)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``."""
        return self.conv5(self.conv4(self.conv3(self.conv2(self.conv1(x)))))


@NECKS.register_module()
class YOLOV3Neck(BaseModule):
    """A block of convolutions a level; its result, made twice as large, is joined with the next finer input.

    Args:
        num_scales: number of levels.
        in_channels: channels of each input, coarsest first.
        out_channels: channels of each output, coarsest first.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm. Default: batch normalisation.
        act_cfg: kind of activation. Default: leaky ReLU.
        init_cfg: initial values. Default: None.

    Raises:
        ValueError: the three do not say the same number of levels.
    """

    def __init__(
        self,
        num_scales: int,
        in_channels: list[int],
        out_channels: list[int],
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        act_cfg: dict = LEAKY_RELU,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not num_scales == len(in_channels) == len(out_channels):
            raise ValueError(
                f'YOLOV3Neck: num_scales={num_scales}, but {len(in_channels)} in_channels and {len(out_channels)} '
                'out_channels; there must be as many of each'
            )
        self.num_scales = num_scales
        self.in_channels = in_channels
        self.out_channels = out_channels
        settings: dict[str, Any] = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.detect1 = DetectionBlock(in_channels[0], out_channels[0], **settings)
        for i in range(1, num_scales):
            wide, narrow = out_channels[i - 1 : i + 1]
            self.add_module(f'conv{i}', ConvModule(wide, narrow, 1, **settings))
            self.add_module(f'detect{i + 1}', DetectionBlock(in_channels[i] + narrow, narrow, **settings))

    def forward(self, feats: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """``num_scales`` maps, finest first, to as many maps ``(N, out_channels[i], H_i, W_i)``, coarsest first.

        Raises:
            ValueError: another number of inputs than ``num_scales``.
        """
        check_inputs(type(self).__name__, feats, self.num_scales)
        outs = [self.detect1(feats[-1])]
        for i, finer in enumerate(feats[-2::-1], 1):
            coarse = functional.interpolate(getattr(self, f'conv{i}')(outs[-1]), scale_factor=2)
            outs.append(getattr(self, f'detect{i + 1}')(cat([coarse, finer], dim=1)))
        return tuple(outs)


__all__ = ['DetectionBlock', 'YOLOV3Neck']
