"""The box head of the first Faster R-CNN (https://arxiv.org/abs/1506.01497): VGG's two wide layers."""

from typing import Any

from mmcv.runner import Sequential
from torch import Tensor, nn

from mmdet.models.builder import HEADS
from mmdet.models.roi_heads.bbox_heads.bbox_head import BBoxHead


@HEADS.register_module()
class VGGBBoxHead(BBoxHead):
    """Box head whose layers fc6 and fc7 start from those that VGG16 learnt on ImageNet.

    Args:
        fc_out_channels: width of both layers. Default: 4096.
        dropout: fraction of their features that training drops. Default: 0.5, as Fast R-CNN was trained.
        pretrained_fcs: checkpoint with torchvision's names (``classifier.0.weight``, ...); None: Xavier.
        init_cfg: initial values of the predicting layers; see :class:`BBoxHead`.
        args, kwargs: those of :class:`BBoxHead`; torchvision's weights need ``roi_feat_size=7`` and
            ``in_channels=512``.
    """

    has_static_shapes = True

    def __init__(
        self,
        fc_out_channels: int = 4096,
        dropout: float = 0.5,
        pretrained_fcs: str | None = 'torchvision://vgg16',
        init_cfg: dict | list[dict] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        settings: dict[str, Any] = dict(init_cfg=init_cfg, **kwargs)
        super().__init__(*args, **settings)
        layers: list[nn.Module] = []
        for features in (self.in_channels * self.roi_feat_area, fc_out_channels):
            layers += [nn.Linear(features, fc_out_channels), nn.ReLU(inplace=True), nn.Dropout(dropout)]
        # numbered as torchvision's classifier is: fc6 and fc7 are its layers 0 and 3
        start = dict(type='Xavier', layer='Linear', distribution='uniform')
        if pretrained_fcs:
            start = dict(type='Pretrained', checkpoint=pretrained_fcs, prefix='classifier.')
        self.fcs = Sequential(*layers, init_cfg=start)
        self._build_predictors(fc_out_channels, fc_out_channels)

    def forward(self, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """RoI features (n, C, h, w) -> logits (n, K + 1) and box codes (n, 4 K), or (n, 4) when class agnostic."""
        x = self.fcs(x.flatten(1))
        return self.fc_cls(x) if self.with_cls else None, self.fc_reg(x) if self.with_reg else None
