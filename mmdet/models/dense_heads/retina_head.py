"""The head of RetinaNet (https://arxiv.org/abs/1708.02002)."""

from typing import Any

from torch import Tensor, nn

from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.anchor_head import AnchorHead
from mmdet.models.dense_heads.functional.towers import conv_tower, rare_classes

# Default arguments; every builder copies them.
RETINA_ANCHORS = dict(
    type='AnchorGenerator',
    octave_base_scale=4,
    scales_per_octave=3,
    ratios=(0.5, 1.0, 2.0),
    strides=(8, 16, 32, 64, 128),
)
RARE_OBJECTS = rare_classes('retina_cls')


@HEADS.register_module()
class RetinaHead(AnchorHead):
    """An anchor head with a tower of convolutions for the classes and one for the boxes, shared by the levels.

    Args:
        num_classes: K, without background.
        in_channels: channels of the feature maps.
        stacked_convs: 3x3 convolutions in each tower.
        conv_cfg: kind of these convolutions; None: ``Conv2d``.
        norm_cfg: normalisation after each; None: none.
        anchor_generator: config of the prior generator.
        init_cfg: initialisation of the weights.
        kwargs: other arguments of :class:`AnchorHead`.
    """

    has_static_shapes = True

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        stacked_convs: int = 4,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        anchor_generator: dict = RETINA_ANCHORS,
        init_cfg: dict | list | None = RARE_OBJECTS,
        **kwargs: Any,
    ) -> None:
        self.stacked_convs = stacked_convs
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        super().__init__(num_classes, in_channels, anchor_generator=anchor_generator, init_cfg=init_cfg, **kwargs)

    def _init_layers(self) -> None:
        self.relu = nn.ReLU(inplace=True)
        self.cls_convs = conv_tower(
            self.in_channels, self.feat_channels, self.stacked_convs, self.conv_cfg, self.norm_cfg
        )
        self.reg_convs = conv_tower(
            self.in_channels, self.feat_channels, self.stacked_convs, self.conv_cfg, self.norm_cfg
        )
        self.retina_cls = nn.Conv2d(self.feat_channels, self.num_base_priors * self.cls_out_channels, 3, padding=1)
        self.retina_reg = nn.Conv2d(self.feat_channels, self.num_base_priors * 4, 3, padding=1)

    def forward_single(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """One level (N, in_channels, H, W) -> class scores (N, A * C, H, W), box deltas (N, A * 4, H, W)."""
        cls_feat = reg_feat = x
        for cls_conv, reg_conv in zip(self.cls_convs, self.reg_convs):
            cls_feat, reg_feat = cls_conv(cls_feat), reg_conv(reg_feat)
        return self.retina_cls(cls_feat), self.retina_reg(reg_feat)
