"""Convolutions, each followed by a doubling of the resolution."""

from typing import Any

from mmcv.cnn import ConvModule
from mmcv.runner import BaseModule, ModuleList
from torch import Tensor
from torch.nn import functional as F


class ConvUpsample(BaseModule):
    """``num_layers`` 3x3 convolutions; the first ``num_upsample`` of them are followed by bilinear upsampling.

    Args:
        in_channels: channels of the input.
        inner_channels: channels of every convolution's output.
        num_layers: number of convolutions. Default: 1.
        num_upsample: how many doublings of the resolution. Default: None, ``num_layers``.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm. Default: None.
        init_cfg: initial values. Default: None.
        kwargs: further arguments of ``ConvModule``.

    Raises:
        ValueError: more doublings than convolutions.
    """

    def __init__(
        self,
        in_channels: int,
        inner_channels: int,
        num_layers: int = 1,
        num_upsample: int | None = None,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(init_cfg)
        self.num_layers = num_layers
        self.num_upsample = num_layers if num_upsample is None else num_upsample
        if self.num_upsample > num_layers:
            raise ValueError(f'num_upsample={num_upsample} is more than num_layers={num_layers}')
        widths = [in_channels, *[inner_channels] * num_layers]
        self.conv = ModuleList(
            ConvModule(c, inner_channels, 3, padding=1, conv_cfg=conv_cfg, norm_cfg=norm_cfg, **kwargs)
            for c in widths[:-1]
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, inner_channels, H * 2**num_upsample, W * 2**num_upsample)``."""
        for i, conv in enumerate(self.conv):
            x = conv(x)
            if i < self.num_upsample:
                x = F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)
        return x
