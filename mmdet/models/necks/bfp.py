"""Balanced feature pyramid of Libra R-CNN (https://arxiv.org/abs/1904.02701)."""

from functools import reduce
from operator import add

import torch
from mmcv.cnn import ConvModule
from mmcv.cnn.bricks import NonLocal2d
from mmcv.runner import BaseModule
from torch import Tensor
from torch.nn import functional as F

from mmdet.models.builder import NECKS

# Default arguments, never written to.
XAVIER = dict(type='Xavier', layer='Conv2d', distribution='uniform')


def resize_level(x: Tensor, size: torch.Size, coarser: bool) -> Tensor:
    """A map at another level's ``size``: by maxima where that one is ``coarser``, else by repeating cells."""
    return F.adaptive_max_pool2d(x, size) if coarser else F.interpolate(x, size=size, mode='nearest')


@NECKS.register_module()
class BFP(BaseModule):
    """Add to each level the refined mean of all levels.

    Args:
        in_channels: channels of every level.
        num_levels: number of levels.
        refine_level: level at whose resolution the mean is taken. Default: 2.
        refine_type: 'conv', 'non_local' or None: how the mean is refined.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm. Default: None.
        init_cfg: initial values. Default: Xavier, uniform.

    Raises:
        ValueError: unknown ``refine_type``, or no such level.
    """

    def __init__(
        self,
        in_channels: int,
        num_levels: int,
        refine_level: int = 2,
        refine_type: str | None = None,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        init_cfg: dict | list[dict] | None = XAVIER,
    ) -> None:
        super().__init__(init_cfg)
        if refine_type not in (None, 'conv', 'non_local'):
            raise ValueError(f"refine_type: expected None, 'conv' or 'non_local', got {refine_type!r}")
        if not 0 <= refine_level < num_levels:
            raise ValueError(f'refine_level: expected a number in [0, {num_levels}), got {refine_level}')
        self.in_channels = in_channels
        self.num_levels = num_levels
        self.refine_level = refine_level
        self.refine_type = refine_type
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        settings = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg)
        if refine_type == 'conv':
            self.refine = ConvModule(in_channels, in_channels, 3, padding=1, **settings)
        elif refine_type == 'non_local':
            self.refine = NonLocal2d(in_channels, reduction=1, use_scale=False, **settings)

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """``num_levels`` maps ``(N, in_channels, H_i, W_i)``, finest first, to maps of the same shapes.

        Raises:
            ValueError: another number of inputs.
        """
        if len(inputs) != self.num_levels:
            raise ValueError(f'BFP: expected {self.num_levels} inputs, got {len(inputs)}')
        size = inputs[self.refine_level].shape[-2:]
        resized = [resize_level(x, size, i < self.refine_level) for i, x in enumerate(inputs)]
        mean = reduce(add, resized) / len(inputs)
        if self.refine_type is not None:
            mean = self.refine(mean)
        return tuple(x + resize_level(mean, x.shape[-2:], i >= self.refine_level) for i, x in enumerate(inputs))
