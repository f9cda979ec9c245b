"""The coarse mask head of PointRend (https://arxiv.org/abs/1912.08193)."""

from typing import Any

import torch.nn as nn
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmcv.runner import BaseModule
from torch import Tensor

from mmdet.models.builder import HEADS
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import FCNMaskHead

# Default of the constructor, which is part of its signature; never written to.
INIT_CFG = dict(type='Xavier', override=[dict(name='fcs'), dict(type='Constant', val=0.001, name='fc_logits')])


@HEADS.register_module()
class CoarseMaskHead(FCNMaskHead):
    """Predicts small masks by fully connected layers.

    Args:
        num_convs: number of convolutions before the downsampling.
        num_fcs: number of fully connected layers.
        fc_out_channels: features of them.
        downsample_factor: RoI features / masks, in height and width; 1: no downsampling.
        init_cfg: initialisation.
        arg, kwarg: those of :class:`FCNMaskHead`, without ``upsample_cfg``.

    Raises:
        ValueError: the number of fully connected layers or the downsampling is less than 1.
    """

    def __init__(
        self,
        num_convs: int = 0,
        num_fcs: int = 2,
        fc_out_channels: int = 1024,
        downsample_factor: int = 2,
        init_cfg: dict | list[dict] | None = INIT_CFG,
        *arg: Any,
        **kwarg: Any,
    ) -> None:
        settings: dict[str, Any] = dict(upsample_cfg=dict(type=None), init_cfg=None, **kwarg)
        super().__init__(num_convs, *arg, **settings)
        if num_fcs < 1 or downsample_factor < 1:
            raise ValueError(f'expected num_fcs >= 1 and downsample_factor >= 1, got {num_fcs} and {downsample_factor}')
        self.init_cfg = init_cfg
        self.num_fcs = num_fcs
        self.fc_out_channels = fc_out_channels
        self.downsample_factor = downsample_factor
        del self.conv_logits  # fully connected layers take its place

        self.output_size = tuple(length // downsample_factor for length in self.roi_feat_size)
        channels = self.conv_out_channels if num_convs > 0 else self.in_channels
        if downsample_factor > 1:
            self.downsample_conv = ConvModule(
                channels,
                self.conv_out_channels,
                downsample_factor,
                stride=downsample_factor,
                conv_cfg=self.conv_cfg,
                norm_cfg=self.norm_cfg,
            )
            channels = self.conv_out_channels
        self.output_area = area = self.output_size[0] * self.output_size[1]
        widths = [channels * area] + [fc_out_channels] * num_fcs
        self.fcs = nn.ModuleList(nn.Linear(*pair) for pair in zip(widths, widths[1:]))
        self.fc_logits = nn.Linear(widths[-1], (1 if self.class_agnostic else self.num_classes) * area)

    def init_weights(self) -> None:
        """Initial values as ``init_cfg`` says."""
        BaseModule.init_weights(self)  # the parent's own values are for layers that this head has not

    def forward(self, x: Tensor) -> Tensor:
        """RoI features (n, C, h, w) -> logits (n, K, h / d, w / d), K = 1 when class agnostic, d the downsampling."""
        for conv in self.convs:
            x = conv(x)
        if self.downsample_factor > 1:
            x = self.downsample_conv(x)
        x = x.flatten(1)
        for fc in self.fcs:
            x = F.relu(fc(x))
        return self.fc_logits(x).unflatten(1, (-1, *self.output_size))
