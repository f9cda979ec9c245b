"""RetinaNet's head with normalisation of each level's own, as in NAS-FPN (https://arxiv.org/abs/1904.07392)."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

from mmcv.cnn import bias_init_with_prob, normal_init
from torch import Tensor, nn

from mmdet.core.utils.misc import multi_apply
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.anchor_head import AnchorHead
from mmdet.models.dense_heads.functional.towers import conv_tower

RARE = 0.01  # probability at which the classes start

Layers = Iterable[Any]  # of a tower


@HEADS.register_module()
class RetinaSepBNHead(AnchorHead):
    """As :class:`RetinaHead`, but the levels share the convolutions of the towers and not their normalisation.

    Args:
        num_classes: K, without background.
        num_ins: number of levels.
        in_channels: channels of the feature maps.
        stacked_convs: 3x3 convolutions in each tower.
        conv_cfg: kind of these convolutions; None: ``Conv2d``.
        norm_cfg: normalisation after each.
        init_cfg: must be None: the head initialises itself.
        kwargs: other arguments of :class:`AnchorHead`.

    Raises:
        ValueError: there is an ``init_cfg``.
    """

    has_static_shapes = True

    def __init__(
        self,
        num_classes: int,
        num_ins: int,
        in_channels: int,
        stacked_convs: int = 4,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        init_cfg: None = None,
        **kwargs: Any,
    ) -> None:
        if init_cfg is not None:
            raise ValueError('RetinaSepBNHead initialises itself: init_cfg must be None')
        self.stacked_convs = stacked_convs
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self.num_ins = num_ins
        super().__init__(num_classes, in_channels, init_cfg=init_cfg, **kwargs)

    def _init_layers(self) -> None:
        self.relu = nn.ReLU(inplace=True)
        self.cls_convs = self._build_towers()
        self.reg_convs = self._build_towers()
        self.retina_cls = nn.Conv2d(self.feat_channels, self.num_base_priors * self.cls_out_channels, 3, padding=1)
        self.retina_reg = nn.Conv2d(self.feat_channels, self.num_base_priors * 4, 3, padding=1)

    def _build_towers(self) -> nn.ModuleList:
        """A tower for each level, with the convolutions of the first one."""
        tower = (self.in_channels, self.feat_channels, self.stacked_convs, self.conv_cfg, self.norm_cfg)
        towers = nn.ModuleList(conv_tower(*tower) for _ in range(self.num_ins))
        for other in towers[1:]:
            for layer, first in zip(cast(Layers, other), cast(Layers, towers[0])):
                layer.conv = first.conv
        return towers

    def init_weights(self) -> None:
        """Small normal values; the classes start at a low probability."""
        super().init_weights()
        for layer in (*cast(Layers, self.cls_convs[0]), *cast(Layers, self.reg_convs[0])):
            normal_init(layer.conv, std=0.01)
        normal_init(self.retina_cls, std=0.01, bias=bias_init_with_prob(RARE))
        normal_init(self.retina_reg, std=0.01)

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """``num_ins`` feature maps -> class scores (N, A * C, H, W) and box deltas (N, A * 4, H, W) of each level.

        Raises:
            ValueError: there are not ``num_ins`` feature maps.
        """
        if len(feats) != self.num_ins:
            raise ValueError(f'RetinaSepBNHead: expected num_ins={self.num_ins} feature maps, got {len(feats)}')
        return multi_apply(self._forward_level, feats, self.cls_convs, self.reg_convs)

    def _forward_level(self, x: Tensor, cls_convs: nn.ModuleList, reg_convs: nn.ModuleList) -> tuple[Tensor, Tensor]:
        cls_feat = reg_feat = x
        for cls_conv, reg_conv in zip(cls_convs, reg_convs):
            cls_feat, reg_feat = cls_conv(cls_feat), reg_conv(reg_feat)
        return self.retina_cls(cls_feat), self.retina_reg(reg_feat)
