"""RetinaNet's head with guided anchors (https://arxiv.org/abs/1901.03278)."""

from typing import Any

from torch import Tensor, nn

from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.functional.towers import conv_tower
from mmdet.models.dense_heads.guided_anchor_head import FeatureAdaption, GuidedAnchorHead
from mmdet.ops import MaskedConv2d

# Default of ``init_cfg``; the builder copies it. Both predictions are of rare things.
RARE_OBJECTS_AND_LOCATIONS = dict(
    type='Normal',
    layer='Conv2d',
    std=0.01,
    override=[
        dict(type='Normal', name='conv_loc', std=0.01, bias_prob=0.01),
        dict(type='Normal', name='retina_cls', std=0.01, bias_prob=0.01),
    ],
)


@HEADS.register_module()
class GARetinaHead(GuidedAnchorHead):
    """Guided anchors after two towers of convolutions, one for classes and places, one for boxes and shapes.

    Args:
        num_classes: K, without background.
        in_channels: channels of the feature maps.
        stacked_convs: 3x3 convolutions in each tower.
        conv_cfg: kind of these convolutions; None: ``Conv2d``.
        norm_cfg: normalisation after each; None: none.
        init_cfg: initialisation of the weights; None: small normal values, low probabilities.
        kwargs: other arguments of :class:`GuidedAnchorHead`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        stacked_convs: int = 4,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        init_cfg: dict | list | None = None,
        **kwargs: Any,
    ) -> None:
        self.stacked_convs = stacked_convs
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        super().__init__(num_classes, in_channels, init_cfg=init_cfg or RARE_OBJECTS_AND_LOCATIONS, **kwargs)

    def _init_layers(self) -> None:
        self.relu = nn.ReLU(inplace=True)
        channels, priors = self.feat_channels, self.num_base_priors
        tower = (self.in_channels, channels, self.stacked_convs, self.conv_cfg, self.norm_cfg)
        self.cls_convs = conv_tower(*tower)
        self.reg_convs = conv_tower(*tower)
        self.conv_loc = nn.Conv2d(channels, 1, 1)
        self.conv_shape = nn.Conv2d(channels, priors * 2, 1)
        self.feature_adaption_cls = FeatureAdaption(channels, channels, 3, self.deform_groups)
        self.feature_adaption_reg = FeatureAdaption(channels, channels, 3, self.deform_groups)
        self.retina_cls = MaskedConv2d(channels, priors * self.cls_out_channels, 3, padding=1)
        self.retina_reg = MaskedConv2d(channels, priors * 4, 3, padding=1)

    def forward_single(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One level (N, in_channels, H, W) -> four maps; see :meth:`GuidedAnchorHead.forward_single`."""
        cls_feat = reg_feat = x
        for cls_conv, reg_conv in zip(self.cls_convs, self.reg_convs):
            cls_feat, reg_feat = cls_conv(cls_feat), reg_conv(reg_feat)
        loc_pred, shape_pred = self.conv_loc(cls_feat), self.conv_shape(reg_feat)
        cls_feat = self.feature_adaption_cls(cls_feat, shape_pred)
        reg_feat = self.feature_adaption_reg(reg_feat, shape_pred)
        mask = self.location_mask(loc_pred)
        return self.retina_cls(cls_feat, mask), self.retina_reg(reg_feat, mask), shape_pred, loc_pred
