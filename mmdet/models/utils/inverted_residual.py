"""The block of MobileNetV2 (https://arxiv.org/abs/1801.04381) and its relatives."""

from mmcv.cnn import ConvModule
from mmcv.cnn.bricks import DropPath
from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.models.utils.se_layer import SELayer
from mmdet.models.utils.weights import run_block

# Default arguments, never written to.
BATCH_NORM = dict(type='BN')
RELU = dict(type='ReLU')


class InvertedResidual(BaseModule):
    """Widen by a 1x1 convolution, filter each channel alone, narrow by a 1x1 convolution; with a shortcut.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        mid_channels: channels in between.
        kernel_size: of the depthwise convolution. Default: 3.
        stride: of the depthwise convolution, 1 or 2. Default: 1.
        se_cfg: arguments of a ``SELayer`` after the depthwise convolution. Default: None, no such layer.
        with_expand_conv: widen first; else ``mid_channels`` must be ``in_channels``. Default: True.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm. Default: batch normalisation.
        act_cfg: kind of activation. Default: ReLU.
        drop_path_rate: probability that an image skips the block's layers in training. Default: 0.
        with_cp: recompute activations in the backward pass. Default: False.
        init_cfg: initial values. Default: None.

    Raises:
        ValueError: another stride than 1 and 2, or unequal channels without the first convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        mid_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        se_cfg: dict | None = None,
        with_expand_conv: bool = True,
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        act_cfg: dict = RELU,
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if stride not in (1, 2):
            raise ValueError(f'stride: expected 1 or 2, got {stride}')
        if not with_expand_conv and mid_channels != in_channels:
            raise ValueError(
                f'without the widening convolution mid_channels={mid_channels} must equal in_channels={in_channels}'
            )
        self.with_res_shortcut = stride == 1 and in_channels == out_channels
        self.with_cp = with_cp
        self.with_se = se_cfg is not None
        self.with_expand_conv = with_expand_conv
        self.drop_path = DropPath(drop_path_rate) if drop_path_rate > 0 else nn.Identity()
        settings = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg)
        if with_expand_conv:
            self.expand_conv = ConvModule(in_channels, mid_channels, 1, act_cfg=act_cfg, **settings)
        self.depthwise_conv = ConvModule(
            mid_channels,
            mid_channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            groups=mid_channels,
            act_cfg=act_cfg,
            **settings,
        )
        if se_cfg is not None:
            self.se = SELayer(**se_cfg)
        self.linear_conv = ConvModule(mid_channels, out_channels, 1, act_cfg=None, **settings)

    def _residual(self, x: Tensor) -> Tensor:
        out = self.expand_conv(x) if self.with_expand_conv else x
        out = self.depthwise_conv(out)
        out = self.linear_conv(self.se(out) if self.with_se else out)
        return x + self.drop_path(out) if self.with_res_shortcut else out

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, out_channels, H / stride, W / stride)``."""
        return run_block(self._residual, x, self.with_cp)
