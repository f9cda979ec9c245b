"""Switchable atrous convolution of DetectoRS (https://arxiv.org/abs/2006.02334)."""

import torch.nn.functional as F
from mmcv.cnn import ConvAWS2d, constant_init
from mmcv.cnn.bricks.registry import CONV_LAYERS
from torch import Tensor, nn, zeros_like

from mmdet.ops.compiled import mmcv_class, register_layer
from mmdet.ops.deform_conv import deform_conv2d

ATROUS_FACTOR = 3  # of the dilation of the wide branch
SWITCH_WINDOW = 5  # side, in cells, of the mean that the switch looks at


def local_mean(x: Tensor) -> Tensor:
    """Mean of the 5x5 cells around each cell, the map being mirrored at its edges; (N, C, H, W) to the same."""
    reach = SWITCH_WINDOW // 2
    mirrors = min(x.shape[-2:]) > reach  # a map of one or two cells has nothing to mirror
    padded = F.pad(x, [reach] * 4, mode='reflect' if mirrors else 'replicate')
    return F.avg_pool2d(padded, SWITCH_WINDOW, stride=1)


class SAConv2d(mmcv_class('SAConv2d', ConvAWS2d)):
    """A convolution that chooses, place by place, between its own dilation and three times that (``SAC``).

    Both branches share ``weight``, standardised; the wide one adds ``weight_diff``. Before and behind, a projection of
    the mean over the whole map is added. It starts as the narrow branch alone.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups: as of ``nn.Conv2d``.
        bias: whether there is a parameter ``bias``. It is not added, as mmcv's layer does not: checkpoints hold values
            that never were trained. Default: True.
        use_deform: both branches are deformable, with predicted offsets; needs a 3x3 kernel. Default: False.

    Raises:
        ValueError: ``use_deform`` with another kernel than 3x3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        use_deform: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)
        self.use_deform = use_deform
        self.weight_diff = nn.Parameter(zeros_like(self.weight))
        self.switch = nn.Conv2d(in_channels, 1, 1, stride=stride)
        self.pre_context = nn.Conv2d(in_channels, in_channels, 1)
        self.post_context = nn.Conv2d(out_channels, out_channels, 1)
        if use_deform:
            if self.kernel_size != (3, 3):
                raise ValueError(f'SAConv2d: use_deform needs kernel_size=3, got {self.kernel_size}')
            self.offset_s = nn.Conv2d(in_channels, 2 * 9, 3, stride=stride, padding=1)
            self.offset_l = nn.Conv2d(in_channels, 2 * 9, 3, stride=stride, padding=1)
        self.init_weights()

    def init_weights(self) -> None:
        """Make the layer the narrow branch alone: switch 1, no context, no offsets; ``weight`` stays as it is."""
        constant_init(self.switch, 0, bias=1)
        nn.init.zeros_(self.weight_diff)
        for name in ('pre_context', 'post_context', 'offset_s', 'offset_l'):
            if hasattr(self, name):
                constant_init(getattr(self, name), 0)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H_out, W_out), as of ``nn.Conv2d``."""
        x = x + self.pre_context(F.adaptive_avg_pool2d(x, 1))
        mean = local_mean(x)
        switch = self.switch(mean)
        weight = self._get_weight(self.weight)
        narrow = self._branch(x, weight, self.offset_s(mean) if self.use_deform else None, 1)
        wide = self._branch(
            x, weight + self.weight_diff, self.offset_l(mean) if self.use_deform else None, ATROUS_FACTOR
        )
        out = switch * narrow + (1 - switch) * wide
        return out + self.post_context(F.adaptive_avg_pool2d(out, 1))

    def _branch(self, x: Tensor, weight: Tensor, offset: Tensor | None, factor: int) -> Tensor:
        """The convolution with ``factor`` times the dilation and, so that the size stays, the padding."""
        padding = tuple(factor * p for p in self.padding)
        dilation = tuple(factor * d for d in self.dilation)
        if offset is None:
            return F.conv2d(x, weight, None, self.stride, padding, dilation, self.groups)
        return deform_conv2d(x, offset, weight, self.stride, padding, dilation, self.groups)


register_layer(CONV_LAYERS, 'SAC', SAConv2d)
