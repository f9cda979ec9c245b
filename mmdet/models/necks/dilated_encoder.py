"""The neck of YOLOF (https://arxiv.org/abs/2103.09460): one level whose cells see objects of many sizes."""

from collections.abc import Sequence

from mmcv.cnn import ConvModule, caffe2_xavier_init, constant_init, is_norm, normal_init
from torch import Tensor, nn

from mmdet.models.builder import NECKS

BATCH_NORM = dict(type='BN', requires_grad=True)  # default argument; every builder copies it


class Bottleneck(nn.Module):
    """A 1x1, a dilated 3x3 and a 1x1 convolution, added to their input.

    Args:
        in_channels: of input and output.
        mid_channels: channels in between.
        dilation: of the 3x3 convolution.
        norm_cfg: kind of norm. Default: batch normalisation.
    """

    def __init__(self, in_channels: int, mid_channels: int, dilation: int, norm_cfg: dict = BATCH_NORM) -> None:
        super().__init__()
        self.conv1 = ConvModule(in_channels, mid_channels, 1, norm_cfg=norm_cfg)
        self.conv2 = ConvModule(mid_channels, mid_channels, 3, padding=dilation, dilation=dilation, norm_cfg=norm_cfg)
        self.conv3 = ConvModule(mid_channels, in_channels, 1, norm_cfg=norm_cfg)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to the same shape."""
        return x + self.conv3(self.conv2(self.conv1(x)))


@NECKS.register_module()
class DilatedEncoder(nn.Module):
    """A 1x1 and a 3x3 convolution of the last input, and residual blocks of growing dilation.

    Args:
        in_channels: channels of the last input.
        out_channels: channels of the output.
        block_mid_channels: channels inside the residual blocks.
        num_residual_blocks: number of blocks.
        block_dilations: dilation of each block.

    Raises:
        ValueError: there is not one dilation a block.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        block_mid_channels: int,
        num_residual_blocks: int,
        block_dilations: Sequence[int],
    ) -> None:
        super().__init__()
        if len(block_dilations) != num_residual_blocks:
            raise ValueError(
                f'DilatedEncoder: block_dilations has {len(block_dilations)} numbers for {num_residual_blocks} blocks'
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.block_mid_channels = block_mid_channels
        self.num_residual_blocks = num_residual_blocks
        self.block_dilations = block_dilations
        self._init_layers()

    def _init_layers(self) -> None:
        width = self.out_channels
        self.lateral_conv = nn.Conv2d(self.in_channels, width, 1)
        self.lateral_norm = nn.BatchNorm2d(width)
        self.fpn_conv = nn.Conv2d(width, width, 3, padding=1)
        self.fpn_norm = nn.BatchNorm2d(width)
        self.dilated_encoder_blocks = nn.Sequential(
            *(Bottleneck(width, self.block_mid_channels, dilation) for dilation in self.block_dilations)
        )

    def init_weights(self) -> None:
        """Xavier values of the first two convolutions, small normal ones in the blocks."""
        for conv in (self.lateral_conv, self.fpn_conv):
            caffe2_xavier_init(conv)
        for norm in (self.lateral_norm, self.fpn_norm):
            constant_init(norm, 1)
        for layer in self.dilated_encoder_blocks.modules():
            if isinstance(layer, nn.Conv2d):
                normal_init(layer, mean=0, std=0.01)
            elif is_norm(layer):
                constant_init(layer, 1)

    def forward(self, feature: Sequence[Tensor]) -> tuple[Tensor]:
        """The last of the maps, ``(N, in_channels, H, W)``, to a tuple with one ``(N, out_channels, H, W)``."""
        out = self.lateral_norm(self.lateral_conv(feature[-1]))
        out = self.fpn_norm(self.fpn_conv(out))
        return (self.dilated_encoder_blocks(out),)
