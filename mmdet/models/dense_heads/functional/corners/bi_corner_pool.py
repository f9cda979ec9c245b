"""The layers in front of a prediction of corners (CornerNet, https://arxiv.org/abs/1808.01244)."""

from collections.abc import Sequence

from mmcv.cnn import ConvModule
from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.ops import CornerPool

BATCH_NORM = dict(type='BN', requires_grad=True)  # default argument; every builder copies it


class BiCornerPool(BaseModule):
    """Corner pooling in two directions, added to a shortcut.

    Args:
        in_channels: channels of the input.
        directions: two modes of ``CornerPool``.
        feat_channels: channels that are pooled. Default: 128.
        out_channels: channels of the output. Default: 128.
        norm_cfg: kind of norm. Default: batch normalisation.
        init_cfg: initial values. Default: None.
    """

    def __init__(
        self,
        in_channels: int,
        directions: Sequence[str],
        feat_channels: int = 128,
        out_channels: int = 128,
        norm_cfg: dict = BATCH_NORM,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        norm = dict(norm_cfg=norm_cfg)
        self.direction1_conv = ConvModule(in_channels, feat_channels, 3, padding=1, **norm)
        self.direction2_conv = ConvModule(in_channels, feat_channels, 3, padding=1, **norm)
        self.aftpool_conv = ConvModule(feat_channels, out_channels, 3, padding=1, act_cfg=None, **norm)
        self.conv1 = ConvModule(in_channels, out_channels, 1, act_cfg=None, **norm)
        self.conv2 = ConvModule(out_channels, out_channels, 3, padding=1, **norm)
        self.direction1_pool = CornerPool(directions[0])
        self.direction2_pool = CornerPool(directions[1])
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, h, w)`` to ``(N, out_channels, h, w)``."""
        pooled = self.direction1_pool(self.direction1_conv(x)) + self.direction2_pool(self.direction2_conv(x))
        return self.conv2(self.relu(self.aftpool_conv(pooled) + self.conv1(x)))
