"""The double head: fully connected layers classify, convolutions regress."""

from typing import Any

import torch.nn as nn
from mmcv.cnn import ConvModule
from mmcv.runner import BaseModule
from torch import Tensor

from mmdet.models.backbones.resnet import Bottleneck
from mmdet.models.builder import HEADS
from mmdet.models.roi_heads.bbox_heads.bbox_head import BBoxHead

# Defaults of the constructors, which are part of their signatures; never written to.
BN = dict(type='BN')
INIT_CFG = dict(
    type='Normal',
    override=[
        dict(type='Normal', name='fc_cls', std=0.01),
        dict(type='Normal', name='fc_reg', std=0.001),
        dict(type='Xavier', name='fc_branch', distribution='uniform'),
    ],
)


class BasicResBlock(BaseModule):
    """A 3x3 and a 1x1 convolution, and a 1x1 convolution beside them; the first block of the convolution branch.

    Args:
        in_channels, out_channels: channels before and after.
        conv_cfg, norm_cfg: kind of the convolutions and of their normalisation.
        init_cfg: initialisation, if any.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        conv_cfg: dict | None = None,
        norm_cfg: dict = BN,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        layers = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg)
        self.conv1 = ConvModule(in_channels, in_channels, 3, padding=1, bias=False, **layers)
        self.conv2 = ConvModule(in_channels, out_channels, 1, bias=False, act_cfg=None, **layers)
        self.conv_identity = ConvModule(in_channels, out_channels, 1, act_cfg=None, **layers)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(n, in_channels, h, w) -> (n, out_channels, h, w)."""
        return self.relu(self.conv2(self.conv1(x)) + self.conv_identity(x))


@HEADS.register_module()
class DoubleConvFCBBoxHead(BBoxHead):
    """Double head (https://arxiv.org/abs/1904.06493)::

        features for classes -> fully connected layers -> classes
        features for boxes -> residual blocks -> average pooling -> boxes

    Args:
        num_convs: residual blocks after the first one.
        num_fcs: fully connected layers.
        conv_out_channels: channels of the residual blocks, a multiple of 4.
        fc_out_channels: features of the fully connected layers.
        conv_cfg, norm_cfg: kind of the convolutions and of their normalisation.
        init_cfg: initialisation.
        kwargs: those of :class:`BBoxHead`; ``with_avg_pool`` is True.

    Raises:
        ValueError: ``with_avg_pool=False``, or no residual block or no fully connected layer.
    """

    has_static_shapes = True

    def __init__(
        self,
        num_convs: int = 0,
        num_fcs: int = 0,
        conv_out_channels: int = 1024,
        fc_out_channels: int = 1024,
        conv_cfg: dict | None = None,
        norm_cfg: dict = BN,
        init_cfg: dict = INIT_CFG,
        **kwargs: Any,
    ) -> None:
        if not kwargs.setdefault('with_avg_pool', True):
            raise ValueError('DoubleConvFCBBoxHead pools its features: with_avg_pool must be True')
        if num_convs < 1 or num_fcs < 1:
            raise ValueError(f'num_convs and num_fcs: expected at least 1 of each, got {num_convs} and {num_fcs}')
        super().__init__(init_cfg=init_cfg, **kwargs)
        self.num_convs, self.num_fcs = num_convs, num_fcs
        self.conv_out_channels, self.fc_out_channels = conv_out_channels, fc_out_channels
        self.conv_cfg, self.norm_cfg = conv_cfg, norm_cfg
        self.res_block = BasicResBlock(self.in_channels, conv_out_channels, conv_cfg, norm_cfg)
        self.conv_branch = self._add_conv_branch()
        self.fc_branch = self._add_fc_branch()
        self.relu = nn.ReLU(inplace=True)
        self._build_predictors(fc_out_channels, conv_out_channels)

    def _add_conv_branch(self) -> nn.ModuleList:
        """The residual blocks."""
        channels = self.conv_out_channels
        return nn.ModuleList(
            Bottleneck(channels, channels // Bottleneck.expansion, conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg)
            for _ in range(self.num_convs)
        )

    def _add_fc_branch(self) -> nn.ModuleList:
        """The fully connected layers; the first takes the flattened features."""
        widths = [self.in_channels * self.roi_feat_area] + [self.fc_out_channels] * self.num_fcs
        return nn.ModuleList(nn.Linear(width_in, width_out) for width_in, width_out in zip(widths, widths[1:]))

    def forward(self, x_cls: Tensor, x_reg: Tensor) -> tuple[Tensor, Tensor]:
        """RoI features (n, C, h, w) for either branch -> logits (n, K + 1) and box codes (n, 4 K) or (n, 4)."""
        x_reg = self.res_block(x_reg)
        for conv in self.conv_branch:
            x_reg = conv(x_reg)
        x_cls = x_cls.flatten(1)
        for fc in self.fc_branch:
            x_cls = self.relu(fc(x_cls))
        return self.fc_cls(x_cls), self.fc_reg(self.avg_pool(x_reg).flatten(1))
