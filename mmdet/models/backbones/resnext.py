"""ResNeXt (https://arxiv.org/abs/1611.05431)."""

from typing import Any

from mmdet.models.backbones.layers.resnet_blocks import Bottleneck as ResNetBottleneck
from mmdet.models.backbones.resnet import ResNet
from mmdet.models.builder import BACKBONES
from mmdet.models.utils.res_layer import ResLayer


def grouped_width(planes: int, groups: int, base_width: int, base_channels: int) -> int:
    """Channels of a grouped 3x3 convolution: ``base_width`` a group where ``planes`` are ``base_channels``."""
    return planes if groups == 1 else int(planes * base_width / base_channels) * groups


class GroupedWidth:
    """What a bottleneck inherits before its base class to split its 3x3 convolution into groups.

    Args:
        inplanes: channels of the input.
        planes: a quarter of the channels of the output.
        groups: number of groups. Default: 1.
        base_width: channels of a group in the first stage. Default: 4.
        base_channels: ``planes`` of the first stage. Default: 64.
        kwargs: as of the base class.
    """

    def __init__(
        self,
        inplanes: int,
        planes: int,
        groups: int = 1,
        base_width: int = 4,
        base_channels: int = 64,
        **kwargs: Any,
    ) -> None:
        width = grouped_width(planes, groups, base_width, base_channels)
        super().__init__(inplanes, planes, width=width, groups=groups, **kwargs)


class Bottleneck(GroupedWidth, ResNetBottleneck):
    """A bottleneck whose 3x3 convolution is split into groups."""


@BACKBONES.register_module()
class ResNeXt(ResNet):
    """ResNet with grouped 3x3 convolutions.

    Args:
        groups: number of groups. Default: 1.
        base_width: channels of a group in the first stage. Default: 4.
        kwargs: as of ``ResNet``; the depth is 50, 101 or 152.
    """

    arch_settings = {
        50: (Bottleneck, (3, 4, 6, 3)),
        101: (Bottleneck, (3, 4, 23, 3)),
        152: (Bottleneck, (3, 8, 36, 3)),
    }

    def __init__(self, groups: int = 1, base_width: int = 4, **kwargs: Any) -> None:
        self.groups = groups  # before the parent's constructor, which builds the stages
        self.base_width = base_width
        super().__init__(**kwargs)

    def make_res_layer(self, **kwargs: Any) -> ResLayer:
        """Build one stage."""
        return ResLayer(groups=self.groups, base_width=self.base_width, base_channels=self.base_channels, **kwargs)
