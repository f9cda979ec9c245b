"""The semantic segmentation branch of Hybrid Task Cascade."""

from collections.abc import Sequence

import torch.nn as nn
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmcv.runner import BaseModule
from torch import Tensor

from mmdet.models.builder import HEADS, build_loss
from mmdet.models.roi_heads.mask_heads.conv_stacks import plain_convs
from mmdet.models.utils.res_layer import ResLayer

# Defaults of the constructor, which are part of its signature; never written to.
LOSS_SEG = dict(type='CrossEntropyLoss', ignore_index=255, loss_weight=0.2)
INIT_CFG = dict(type='Kaiming', override=dict(name='conv_logits'))


@HEADS.register_module()
class FusedSemanticHead(BaseModule):
    """Segments the image from all feature maps, brought to one size (https://arxiv.org/abs/1901.07518)::

        feature maps -> 1x1 convolutions -> resize -> sum -> convolutions -> logits
                                                                         \\-> 1x1 convolution -> semantic features

    Args:
        num_ins: number of feature maps.
        fusion_level: the feature map whose size all are brought to.
        num_convs: 3x3 convolutions after the sum.
        in_channels: channels of the feature maps.
        conv_out_channels: channels of the convolutions.
        num_classes: number of classes K.
        conv_cfg, norm_cfg: kind of the convolutions and of their normalisation.
        ignore_label: overrides ``ignore_index`` of ``loss_seg``.
        loss_weight: overrides ``loss_weight`` of ``loss_seg``.
        loss_seg: the loss.
        init_cfg: initialisation.
    """

    directive_head, directive_fallback = 'semantic_head', 'roi_head'

    def __init__(
        self,
        num_ins: int,
        fusion_level: int,
        num_convs: int = 4,
        in_channels: int = 256,
        conv_out_channels: int = 256,
        num_classes: int = 183,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        ignore_label: int | None = None,
        loss_weight: float | None = None,
        loss_seg: dict = LOSS_SEG,
        init_cfg: dict | list[dict] | None = INIT_CFG,
    ) -> None:
        super().__init__(init_cfg)
        self.num_ins = num_ins
        self.fusion_level = fusion_level
        self.num_convs = num_convs
        self.in_channels = in_channels
        self.conv_out_channels = conv_out_channels
        self.num_classes = num_classes
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg

        layers = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg)
        self.lateral_convs = nn.ModuleList(
            ConvModule(in_channels, in_channels, 1, inplace=False, **layers) for _ in range(num_ins)
        )
        self.convs = self._build_convs()
        channels = conv_out_channels if num_convs else in_channels
        self.conv_embedding = ConvModule(channels, conv_out_channels, 1, **layers)
        self.conv_logits = nn.Conv2d(channels, num_classes, 1)

        overrides = dict(ignore_index=ignore_label, loss_weight=loss_weight)
        self.criterion = build_loss({**loss_seg, **{k: v for k, v in overrides.items() if v is not None}})

    def _build_convs(self) -> nn.ModuleList | ResLayer:
        """The 3x3 convolutions."""
        return plain_convs(self.num_convs, self.in_channels, self.conv_out_channels, self.conv_cfg, self.norm_cfg)

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Feature maps (N, C, H_l, W_l) -> logits (N, K, H, W), features (N, C', H, W) at the fusion level's size.

        Raises:
            ValueError: there are not ``num_ins`` feature maps.
        """
        if len(feats) != self.num_ins:
            raise ValueError(f'{type(self).__name__}: expected num_ins={self.num_ins} feature maps, got {len(feats)}')
        size = feats[self.fusion_level].shape[-2:]
        resized = (
            feat if feat.shape[-2:] == size else F.interpolate(feat, size=size, mode='bilinear', align_corners=True)
            for feat in feats
        )
        x = sum(conv(feat) for conv, feat in zip(self.lateral_convs, resized))
        for conv in self.convs:
            x = conv(x)
        return self.conv_logits(x), self.conv_embedding(x)

    def loss(self, mask_pred: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Loss of logits (N, K, H, W) for labels (N, 1, H, W) of that size.

        ``weights`` (N,) are factors of the images; the mean is over all pixels, whatever their weights.
        """
        weights = None if weights is None else weights[:, None, None]
        return self.criterion(mask_pred, labels.squeeze(1).long(), weights)
