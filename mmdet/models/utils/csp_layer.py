"""Cross-stage partial layer (https://arxiv.org/abs/1911.11929), as YOLOX uses it."""

from typing import Any

from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from mmcv.runner import BaseModule
from torch import Tensor, cat, nn

# Default arguments, never written to.
BATCH_NORM = dict(type='BN', momentum=0.03, eps=0.001)
SWISH = dict(type='Swish')


class DarknetBottleneck(BaseModule):
    """A 1x1 and a 3x3 convolution, with a shortcut where input and output have equal channels.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        expansion: channels in between, as a fraction of ``out_channels``. Default: 0.5.
        add_identity: have the shortcut. Default: True.
        use_depthwise: the second convolution is depthwise separable. Default: False.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm.
        act_cfg: kind of activation. Default: Swish.
        init_cfg: initial values. Default: None.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expansion: float = 0.5,
        add_identity: bool = True,
        use_depthwise: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        act_cfg: dict = SWISH,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        hidden = int(out_channels * expansion)
        conv = DepthwiseSeparableConvModule if use_depthwise else ConvModule
        settings = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.conv1 = ConvModule(in_channels, hidden, 1, **settings)
        self.conv2 = conv(hidden, out_channels, 3, stride=1, padding=1, **settings)
        self.add_identity = add_identity and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``."""
        out = self.conv2(self.conv1(x))
        return out + x if self.add_identity else out


class CSPLayer(BaseModule):
    """Two branches, one with ``DarknetBottleneck`` blocks, joined by a 1x1 convolution.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        expand_ratio: channels of each branch, as a fraction of ``out_channels``. Default: 0.5.
        num_blocks: blocks of the main branch. Default: 1.
        add_identity, use_depthwise: of the blocks.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm.
        act_cfg: kind of activation. Default: Swish.
        init_cfg: initial values. Default: None.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expand_ratio: float = 0.5,
        num_blocks: int = 1,
        add_identity: bool = True,
        use_depthwise: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        act_cfg: dict = SWISH,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        mid = int(out_channels * expand_ratio)
        settings: dict[str, Any] = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.main_conv = ConvModule(in_channels, mid, 1, **settings)
        self.short_conv = ConvModule(in_channels, mid, 1, **settings)
        self.final_conv = ConvModule(2 * mid, out_channels, 1, **settings)
        self.blocks = nn.Sequential(
            *(DarknetBottleneck(mid, mid, 1.0, add_identity, use_depthwise, **settings) for _ in range(num_blocks))
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``."""
        return self.final_conv(cat((self.blocks(self.main_conv(x)), self.short_conv(x)), dim=1))
