"""ResNeSt (https://arxiv.org/abs/2004.08955)."""

from typing import Any

from mmcv.cnn import build_conv_layer
from mmcv.runner import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmdet.models.backbones.layers.resnet_blocks import Bottleneck as ResNetBottleneck
from mmdet.models.backbones.layers.resnet_blocks import add_norm, choose_conv_cfg
from mmdet.models.backbones.resnet import ResNetV1d
from mmdet.models.backbones.resnext import grouped_width
from mmdet.models.builder import BACKBONES
from mmdet.models.options.fold_norm import norm_after_conv
from mmdet.models.utils.res_layer import ResLayer

# Default arguments, never written to.
BATCH_NORM = dict(type='BN')


class RSoftmax(nn.Module):
    """Softmax over the splits of each group; the sigmoid where there is one split.

    Args:
        radix: number of splits.
        groups: number of groups.
    """

    def __init__(self, radix: int, groups: int) -> None:
        super().__init__()
        self.radix = radix
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """``(N, groups * radix * c, 1, 1)`` to ``(N, radix * groups * c)``: split-major."""
        if self.radix == 1:
            return x.sigmoid().flatten(1)
        x = x.view(x.size(0), self.groups, self.radix, -1).transpose(1, 2)
        return x.softmax(dim=1).flatten(1)


class SplitAttentionConv2d(BaseModule):
    """A convolution with ``radix`` results for each output channel, averaged by weights that depend on the image.

    Args:
        in_channels: channels of the input.
        channels: channels of the output.
        kernel_size, stride, padding, dilation, groups: of the convolution.
        radix: number of splits. Default: 2.
        reduction_factor: the weights are computed from ``in_channels * radix / reduction_factor`` numbers, at least 32.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm. Default: batch normalisation.
        dcn: kind of deformable convolution; ``fallback_on_stride=True`` keeps the ordinary one. Default: None.
        init_cfg: initial values. Default: None.

    Raises:
        ValueError: ``dcn`` beside ``conv_cfg``.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        radix: int = 2,
        reduction_factor: int = 4,
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        dcn: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.radix = radix
        self.groups = groups
        self.channels = channels
        self.dcn = dcn
        self.with_dcn = dcn is not None
        self.conv = build_conv_layer(
            choose_conv_cfg(conv_cfg, dcn),
            in_channels,
            channels * radix,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups * radix,
            bias=False,
        )
        inner = max(in_channels * radix // reduction_factor, 32)
        self.norm0_name = add_norm(self, norm_cfg, channels * radix, 0)
        self.relu = nn.ReLU(inplace=True)
        self.fc1 = build_conv_layer(None, channels, inner, 1, groups=groups)
        self.norm1_name = add_norm(self, norm_cfg, inner, 1)
        self.fc2 = build_conv_layer(None, inner, channels * radix, 1, groups=groups)
        self.rsoftmax = RSoftmax(radix, groups)

    @property
    def norm0(self) -> nn.Module:
        """The norm after the convolution."""
        return getattr(self, self.norm0_name)

    @property
    def norm1(self) -> nn.Module:
        """The norm within the branch of the weights."""
        return getattr(self, self.norm1_name)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, channels, H / stride, W / stride)``."""
        x = self.relu(norm_after_conv(self.conv, self.norm0, x))
        splits = x.unflatten(1, (self.radix, self.channels))  # (N, radix, C, H, W)
        gap = F.adaptive_avg_pool2d(splits.sum(dim=1), 1)
        weights = self.rsoftmax(self.fc2(self.relu(self.norm1(self.fc1(gap)))))
        return (weights.view(-1, self.radix, self.channels, 1, 1) * splits).sum(dim=1)


class Bottleneck(ResNetBottleneck):
    """A bottleneck with a ``SplitAttentionConv2d`` in its middle.

    Args:
        inplanes: channels of the input.
        planes: a quarter of the channels of the output.
        groups: number of groups of the middle. Default: 1.
        base_width: channels of a group in the first stage. Default: 4.
        base_channels: ``planes`` of the first stage. Default: 64.
        radix, reduction_factor: of the middle.
        avg_down_stride: stride by average pooling behind the middle. Default: True.
        kwargs: as of ResNet's bottleneck.
    """

    def __init__(
        self,
        inplanes: int,
        planes: int,
        groups: int = 1,
        base_width: int = 4,
        base_channels: int = 64,
        radix: int = 2,
        reduction_factor: int = 4,
        avg_down_stride: bool = True,
        **kwargs: Any,
    ) -> None:
        self.radix = radix  # before the parent's constructor, which builds the middle
        self.reduction_factor = reduction_factor
        self.avg_down_stride = avg_down_stride
        width = grouped_width(planes, groups, base_width, base_channels)
        super().__init__(inplanes, planes, width=width, groups=groups, **kwargs)

    def _make_middle(self, width: int, groups: int) -> None:
        """Build the split attention and, where it strides, the pooling."""
        self.avg_down_stride = self.avg_down_stride and self.conv2_stride > 1
        self.conv2 = SplitAttentionConv2d(
            width,
            width,
            kernel_size=3,
            stride=1 if self.avg_down_stride else self.conv2_stride,
            padding=self.dilation,
            dilation=self.dilation,
            groups=groups,
            radix=self.radix,
            reduction_factor=self.reduction_factor,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
            dcn=self.dcn,
        )
        if self.avg_down_stride:
            self.avd_layer = nn.AvgPool2d(3, self.conv2_stride, padding=1)

    def _middle(self, x: Tensor) -> Tensor:
        x = self.conv2(x)
        return self.avd_layer(x) if self.avg_down_stride else x


@BACKBONES.register_module()
class ResNeSt(ResNetV1d):
    """ResNetV1d with split attention.

    Args:
        groups: number of groups. Default: 1.
        base_width: channels of a group in the first stage. Default: 4.
        radix: number of splits. Default: 2.
        reduction_factor: see ``SplitAttentionConv2d``. Default: 4.
        avg_down_stride: stride by average pooling behind the split attention. Default: True.
        kwargs: as of ``ResNet``; the depth is 50, 101, 152 or 200.
    """

    arch_settings = {
        50: (Bottleneck, (3, 4, 6, 3)),
        101: (Bottleneck, (3, 4, 23, 3)),
        152: (Bottleneck, (3, 8, 36, 3)),
        200: (Bottleneck, (3, 24, 36, 3)),
    }

    def __init__(
        self,
        groups: int = 1,
        base_width: int = 4,
        radix: int = 2,
        reduction_factor: int = 4,
        avg_down_stride: bool = True,
        **kwargs: Any,
    ) -> None:
        self.groups = groups  # before the parent's constructor, which builds the stages
        self.base_width = base_width
        self.radix = radix
        self.reduction_factor = reduction_factor
        self.avg_down_stride = avg_down_stride
        super().__init__(**kwargs)

    def make_res_layer(self, **kwargs: Any) -> ResLayer:
        """Build one stage."""
        return ResLayer(
            groups=self.groups,
            base_width=self.base_width,
            base_channels=self.base_channels,
            radix=self.radix,
            reduction_factor=self.reduction_factor,
            avg_down_stride=self.avg_down_stride,
            **kwargs,
        )
