"""Dynamic head: attention over levels, positions and channels (https://arxiv.org/abs/2106.08322)."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmcv.cnn import build_activation_layer, build_norm_layer, constant_init, normal_init
from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.models.builder import NECKS
from mmdet.models.utils.se_layer import DyReLU
from mmdet.ops import ModulatedDeformConv2d

# Default arguments; what is built from them copies them.
GROUP_NORM = dict(type='GN', num_groups=16, requires_grad=True)
HARD_SIGMOID = dict(type='HSigmoid', bias=3.0, divisor=6.0)
KERNEL_CELLS = 9  # of a 3x3 kernel


def reread(values: Tensor, features: Tensor) -> Tensor:
    """Offsets or masks of a fine level, as the convolution over a coarser one reads them.

    Published weights were trained with an operator that reads the memory of what it is given as if it were of the size
    of its output: each image's first numbers, row by row, in maps of the coarser size. They need the same here.

    Args:
        values: (N, C, H, W).
        features: (N, ..., h, w) of the coarser level, h * w <= H * W.

    Returns:
        (N, C, h, w).
    """
    height, width = features.shape[-2:]
    count = values.size(1) * height * width
    return values.flatten(1)[:, :count].view(len(values), values.size(1), height, width)


class DyDCNv2(nn.Module):
    """A 3x3 modulated deformable convolution, whose offsets and masks are given, and normalisation after it.

    Args:
        in_channels: channels of the features.
        out_channels: channels of the result.
        stride: of the convolution.
        norm_cfg: normalisation; None: none, and the convolution has a bias.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, norm_cfg: dict | None = GROUP_NORM
    ) -> None:
        super().__init__()
        self.with_norm = norm_cfg is not None
        self.conv = ModulatedDeformConv2d(
            in_channels, out_channels, 3, stride=stride, padding=1, bias=not self.with_norm
        )
        if self.with_norm:
            self.norm = build_norm_layer(norm_cfg, out_channels)[1]

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        """Features (N, C, H, W), offsets (N, 18, h, w), masks (N, 9, h, w) -> (N, out_channels, h, w)."""
        x = self.conv(x.contiguous(), offset, mask)
        return self.norm(x) if self.with_norm else x


class DyHeadBlock(nn.Module):
    """One round of attention: positions of each level and its neighbours, then levels, then channels.

    Args:
        in_channels: channels of the feature maps.
        out_channels: channels of the results.
        zero_init_offset: the offsets of the deformable convolutions start at zero.
        act_cfg: activation of the levels' attention.
    """

    def __init__(
        self, in_channels: int, out_channels: int, zero_init_offset: bool = True, act_cfg: dict = HARD_SIGMOID
    ) -> None:
        super().__init__()
        self.zero_init_offset = zero_init_offset
        self.offset_and_mask_dim = 3 * KERNEL_CELLS
        self.offset_dim = 2 * KERNEL_CELLS
        self.spatial_conv_high = DyDCNv2(in_channels, out_channels)
        self.spatial_conv_mid = DyDCNv2(in_channels, out_channels)
        self.spatial_conv_low = DyDCNv2(in_channels, out_channels, stride=2)
        self.spatial_conv_offset = nn.Conv2d(in_channels, self.offset_and_mask_dim, 3, padding=1)
        self.scale_attn_module = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(out_channels, 1, 1),
            nn.ReLU(inplace=True),
            build_activation_layer(act_cfg),
        )
        self.task_attn_module = DyReLU(out_channels)
        self._init_weights()

    def _init_weights(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                normal_init(module, 0, 0.01)
        if self.zero_init_offset:
            constant_init(self.spatial_conv_offset, 0)

    def forward(self, x: Sequence[Tensor]) -> list[Tensor]:
        """L feature maps (N, in_channels, H, W), each half as large as the one before -> L maps of the same sizes."""
        return [self._attend(x, level) for level in range(len(x))]

    def _attend(self, x: Sequence[Tensor], level: int) -> Tensor:
        """The new map of one level."""
        predicted = self.spatial_conv_offset(x[level])
        offset, mask = predicted[:, : self.offset_dim], predicted[:, self.offset_dim :].sigmoid()
        maps = [self.spatial_conv_mid(x[level], offset, mask)]
        if level > 0:
            maps.append(self.spatial_conv_low(x[level - 1], offset, mask))
        if level < len(x) - 1:
            coarse = self.spatial_conv_high(x[level + 1], *(reread(t, x[level + 1]) for t in (offset, mask)))
            maps.append(F.interpolate(coarse, size=x[level].shape[-2:], mode='bilinear', align_corners=True))
        attended = sum(features * self.scale_attn_module(features) for features in maps)
        return self.task_attn_module(attended / len(maps))


@NECKS.register_module()
class DyHead(BaseModule):
    """Blocks of attention one after another.

    Args:
        in_channels: channels of the feature maps.
        out_channels: channels of the results.
        num_blocks: number of blocks.
        zero_init_offset: see :class:`DyHeadBlock`.
        init_cfg: must be None; the blocks initialise themselves.

    Raises:
        ValueError: ``init_cfg`` is given.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_blocks: int = 6,
        zero_init_offset: bool = True,
        init_cfg: dict | list | None = None,
    ) -> None:
        if init_cfg is not None:
            raise ValueError('DyHead: init_cfg must be None, as the blocks initialise themselves')
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.num_blocks = num_blocks
        self.zero_init_offset = zero_init_offset
        self.dyhead_blocks = nn.Sequential(
            *(
                DyHeadBlock(out_channels if block else in_channels, out_channels, zero_init_offset)
                for block in range(num_blocks)
            )
        )

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """L feature maps (N, in_channels, H, W) -> L maps (N, out_channels, H, W)."""
        return tuple(self.dyhead_blocks(inputs))
