"""Features that fit the shapes of predicted anchors (Guided Anchoring, https://arxiv.org/abs/1901.03278)."""

from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.ops import DeformConv2d

# Default of ``init_cfg``; the builder copies it.
SMALL_ADAPTION = dict(
    type='Normal', layer='Conv2d', std=0.1, override=dict(type='Normal', name='conv_adaption', std=0.01)
)


class FeatureAdaption(BaseModule):
    """Makes features fit the shapes of the anchors, by a deformable convolution whose offsets come from the shapes.

    Args:
        in_channels: channels of the features.
        out_channels: channels of the result.
        kernel_size: odd side of the kernel.
        deform_groups: groups of channels with offsets of their own.
        init_cfg: initialisation of the weights.
    """

    shape_channels = 2  # numbers that describe a shape

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        deform_groups: int = 4,
        init_cfg: dict | list | None = SMALL_ADAPTION,
    ) -> None:
        super().__init__(init_cfg)
        self.conv_offset = nn.Conv2d(self.shape_channels, deform_groups * kernel_size**2 * 2, 1, bias=False)
        self.conv_adaption = DeformConv2d(
            in_channels, out_channels, kernel_size, padding=(kernel_size - 1) // 2, deform_groups=deform_groups
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor, shape: Tensor) -> Tensor:
        """Features (N, in_channels, H, W) and shapes (N, 2, H, W), log of w and h -> (N, out_channels, H, W) >= 0.

        No gradient goes back into the shapes.
        """
        return self.relu(self.conv_adaption(x, self.conv_offset(shape.detach())))
