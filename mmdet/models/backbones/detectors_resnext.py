"""ResNeXt (https://arxiv.org/abs/1611.05431) as DetectoRS (https://arxiv.org/abs/2006.02334) changes it."""

from typing import Any

from mmdet.models.backbones.detectors_resnet import Bottleneck as DetectoRSBottleneck
from mmdet.models.backbones.detectors_resnet import DetectoRS_ResNet, ResLayer
from mmdet.models.backbones.resnext import GroupedWidth
from mmdet.models.builder import BACKBONES


class Bottleneck(GroupedWidth, DetectoRSBottleneck):
    """A bottleneck of DetectoRS whose 3x3 convolution is split into groups."""


@BACKBONES.register_module()
class DetectoRS_ResNeXt(DetectoRS_ResNet):
    """``DetectoRS_ResNet`` with grouped 3x3 convolutions.

    Args:
        groups: number of groups. Default: 1.
        base_width: channels of a group in the first stage. Default: 4.
        kwargs: as of ``DetectoRS_ResNet``.
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
        return super().make_res_layer(
            groups=self.groups, base_width=self.base_width, base_channels=self.base_channels, **kwargs
        )
