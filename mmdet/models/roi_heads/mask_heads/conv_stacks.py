"""Stacks of 3x3 convolutions: plain ones or residual blocks."""

import torch.nn as nn
from mmcv.cnn import ConvModule

from mmdet.models.utils.res_layer import ResLayer, SimplifiedBasicBlock


def residual_convs(
    num_convs: int, in_channels: int, out_channels: int, conv_cfg: dict | None, norm_cfg: dict | None
) -> ResLayer:
    """``num_convs`` 3x3 convolutions, each two of them a residual block; a last odd one is left out."""
    return ResLayer(
        SimplifiedBasicBlock, in_channels, out_channels, num_convs // 2, conv_cfg=conv_cfg, norm_cfg=norm_cfg
    )


def plain_convs(
    num_convs: int, in_channels: int, out_channels: int, conv_cfg: dict | None, norm_cfg: dict | None
) -> nn.ModuleList:
    """``num_convs`` 3x3 convolutions that keep the size of the map."""
    widths = [in_channels] + [out_channels] * num_convs
    return nn.ModuleList(
        ConvModule(width_in, width_out, 3, padding=1, conv_cfg=conv_cfg, norm_cfg=norm_cfg)
        for width_in, width_out in zip(widths, widths[1:])
    )
