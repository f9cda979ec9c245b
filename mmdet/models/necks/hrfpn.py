"""The pyramid of HRNet detectors (https://arxiv.org/abs/1904.04514)."""

import torch
from mmcv.cnn import ConvModule
from mmcv.runner import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmdet.models.builder import NECKS
from mmdet.models.utils.weights import run_block

# Default arguments, never written to.
CAFFE2_XAVIER = dict(type='Caffe2Xavier', layer='Conv2d')


@NECKS.register_module()
class HRFPN(BaseModule):
    """Join all inputs at the finest resolution, then pool the levels from that.

    Args:
        in_channels: channels of each input, finest first; each is half the size of the one before.
        out_channels: channels of every output.
        num_outs: number of outputs. Default: 5.
        pooling_type: 'AVG' or 'MAX'.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: no effect; the layers have no norm.
        with_cp: recompute the 1x1 convolution in the backward pass. Default: False.
        stride: of the 3x3 convolution of each level. Default: 1.
        init_cfg: initial values. Default: Caffe's Xavier.
    """

    def __init__(
        self,
        in_channels: list[int],
        out_channels: int,
        num_outs: int = 5,
        pooling_type: str = 'AVG',
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        with_cp: bool = False,
        stride: int = 1,
        init_cfg: dict | list[dict] | None = CAFFE2_XAVIER,
    ) -> None:
        super().__init__(init_cfg)
        if not isinstance(in_channels, (list, tuple)):
            raise TypeError(f'in_channels: expected a list with one number a level, got {in_channels!r}')
        if pooling_type not in ('AVG', 'MAX'):
            raise ValueError(f"pooling_type: expected 'AVG' or 'MAX', got {pooling_type!r}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.num_ins = len(in_channels)
        self.num_outs = num_outs
        self.with_cp = with_cp
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        settings = dict(conv_cfg=conv_cfg, act_cfg=None)
        self.reduction_conv = ConvModule(sum(in_channels), out_channels, kernel_size=1, **settings)
        self.fpn_convs = nn.ModuleList(
            ConvModule(out_channels, out_channels, kernel_size=3, padding=1, stride=stride, **settings)
            for _ in range(num_outs)
        )
        self.pooling = F.max_pool2d if pooling_type == 'MAX' else F.avg_pool2d

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Maps, finest first, to ``num_outs`` maps ``(N, out_channels, H / 2**i, W / 2**i)``.

        Raises:
            ValueError: another number of inputs than ``in_channels`` has.
        """
        if len(inputs) != self.num_ins:
            raise ValueError(f'HRFPN: expected {self.num_ins} inputs, got {len(inputs)}')
        finest, *others = inputs
        enlarged = [F.interpolate(x, scale_factor=2**i, mode='bilinear') for i, x in enumerate(others, 1)]
        joined = run_block(self.reduction_conv, torch.cat((finest, *enlarged), dim=1), self.with_cp)
        pooled = [joined, *(self.pooling(joined, kernel_size=2**i, stride=2**i) for i in range(1, self.num_outs))]
        return tuple(conv(x) for conv, x in zip(self.fpn_convs, pooled))
