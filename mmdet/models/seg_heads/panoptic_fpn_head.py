"""The semantic head of Panoptic FPN (https://arxiv.org/abs/1901.02446)."""

import warnings
from collections.abc import Sequence

import torch
from mmcv.cnn import normal_init
from mmcv.runner import ModuleList
from torch import Tensor, nn

from mmdet.models.builder import HEADS
from mmdet.models.seg_heads.base_semantic_head import BaseSemanticHead
from mmdet.models.utils.conv_upsample import ConvUpsample

# Defaults of the constructor, which are part of its signature; never written to.
GROUP_NORM = dict(type='GN', num_groups=32, requires_grad=True)
LOSS_SEG = dict(type='CrossEntropyLoss', ignore_index=-1, loss_weight=1.0)


@HEADS.register_module()
class PanopticFPNHead(BaseSemanticHead):
    """Brings feature maps to the size of the finest one, adds them up and classifies each pixel.

    It tells classes of stuff apart; all things are one more class, the last one.

    Args:
        num_things_classes: number of classes of things T, labels ``[0, T)`` of the ground truth.
        num_stuff_classes: number of classes of stuff S, labels ``[T, T + S)``.
        num_classes: deprecated; S + 1.
        in_channels: channels of the feature maps.
        inner_channels: channels of the convolutions.
        start_level, end_level: feature maps ``[start_level, end_level)`` are used, finest first; each is half as
            large as the one before it.
        fg_range, bg_range: deprecated; first and last label of things and of stuff.
        conv_cfg, norm_cfg: kind of the convolutions and of their normalisation.
        init_cfg: initialisation.
        loss_seg: the loss.
    """

    def __init__(
        self,
        num_things_classes: int = 80,
        num_stuff_classes: int = 53,
        num_classes: int | None = None,
        in_channels: int = 256,
        inner_channels: int = 128,
        start_level: int = 0,
        end_level: int = 4,
        fg_range: tuple[int, int] | None = None,
        bg_range: tuple[int, int] | None = None,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = GROUP_NORM,
        init_cfg: dict | list[dict] | None = None,
        loss_seg: dict = LOSS_SEG,
    ) -> None:
        if num_classes is not None:
            warnings.warn('num_classes is deprecated; use num_stuff_classes, one less', UserWarning, stacklevel=2)
            num_stuff_classes = num_classes - 1
        if fg_range is not None and bg_range is not None:
            warnings.warn(
                'fg_range and bg_range are deprecated; use num_things_classes and num_stuff_classes',
                UserWarning,
                stacklevel=2,
            )
            num_things_classes = fg_range[1] - fg_range[0] + 1
            num_stuff_classes = bg_range[1] - bg_range[0] + 1
        super().__init__(num_stuff_classes + 1, init_cfg, loss_seg)
        self.num_things_classes = num_things_classes
        self.num_stuff_classes = num_stuff_classes
        self.start_level = start_level
        self.end_level = end_level
        self.num_stages = end_level - start_level
        self.inner_channels = inner_channels
        self.conv_upsample_layers = ModuleList(
            ConvUpsample(
                in_channels,
                inner_channels,
                num_layers=max(level, 1),
                num_upsample=level,
                conv_cfg=conv_cfg,
                norm_cfg=norm_cfg,
            )
            for level in range(start_level, end_level)
        )
        self.conv_logits = nn.Conv2d(inner_channels, self.num_classes, 1)

    def init_weights(self) -> None:
        """Normal weights, std 0.01, and no bias for the last layer."""
        super().init_weights()
        normal_init(self.conv_logits, std=0.01)

    def _set_things_to_void(self, gt_semantic_seg: Tensor) -> Tensor:
        """Labels of the data set -> labels of this head: stuff ``[0, S)``, things S; others (ignored) stay."""
        num_things, num_stuff = self.num_things_classes, self.num_stuff_classes
        gt = gt_semantic_seg.long()  # 8 bits of the file do not suffice for what follows
        is_thing = (gt >= 0) & (gt < num_things)
        is_stuff = (gt >= num_things) & (gt < num_things + num_stuff)
        return torch.where(is_thing, num_stuff, torch.where(is_stuff, gt - num_things, gt))

    def loss(self, seg_preds: Tensor, gt_semantic_seg: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
        """``loss_seg``; see :meth:`BaseSemanticHead.loss`. The ground truth has the labels of the data set."""
        return super().loss(seg_preds, self._set_things_to_void(gt_semantic_seg), weights)

    def forward(self, x: Sequence[Tensor]) -> dict[str, Tensor]:
        """Feature maps (N, C, H_l, W_l) -> ``seg_preds`` (N, S + 1, H, W) and ``feats`` (N, C', H, W)."""
        levels = x[self.start_level : self.end_level]
        if len(levels) != self.num_stages:
            raise ValueError(
                f'{type(self).__name__}: start_level={self.start_level} and end_level={self.end_level} need '
                f'{self.end_level} feature maps, got {len(x)}'
            )
        feats = sum(layer(level) for layer, level in zip(self.conv_upsample_layers, levels))
        return dict(seg_preds=self.conv_logits(feats), feats=feats)
