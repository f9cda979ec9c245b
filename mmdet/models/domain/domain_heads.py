"""Classifiers of the domain of an image and of its RoIs."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.models.builder import HEADS


@HEADS.register_module()
class ImageDomainHead(BaseModule):
    """Tells the domain at each place of the feature maps; all levels share its weights.

    Args:
        in_channels: C of the feature maps.
        hidden_channels: of the layer in between.
        kernel_size: of the convolutions, odd; 1 as published.
        loss_weight: factor of the loss.
        init_cfg: initialisation; by default normal with deviation 0.001, so that all begins with a probability of 1/2.
    """

    no_weight_per_image = 'its loss is of domains and that of its detector'  # read where heads with weights are made

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int = 512,
        kernel_size: int = 1,
        loss_weight: float = 0.1,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg or dict(type='Normal', layer='Conv2d', std=0.001))
        self.loss_weight = loss_weight
        self.hidden = nn.Conv2d(in_channels, hidden_channels, kernel_size, padding=kernel_size // 2)
        self.classifier = nn.Conv2d(hidden_channels, 1, kernel_size, padding=kernel_size // 2)

    def forward(self, feats: Sequence[Tensor]) -> list[Tensor]:
        """L maps (N, C, h, w) -> L maps (N, h, w) of logits of domain 1."""
        return [self.classifier(F.relu(self.hidden(feat))).squeeze(1) for feat in feats]


@HEADS.register_module()
class InstanceDomainHead(BaseModule):
    """Tells the domain of RoIs from their pooled features.

    Args:
        in_channels: C of the pooled features.
        hidden_channels: of both layers in between.
        roi_feat_size: side of the pooled features, all of which then count; None: their mean over the RoI's area does.
        dropout: fraction of the hidden values that a training pass leaves out.
        loss_weight: factor of the loss.
        init_cfg: initialisation; by default that of ``nn.Linear`` and, for the last layer, normal with deviation 0.05.
    """

    no_weight_per_image = 'its loss is of domains and that of its detector'  # read where heads with weights are made

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int = 1024,
        roi_feat_size: int | None = None,
        dropout: float = 0.5,
        loss_weight: float = 0.1,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg or dict(type='Normal', override=dict(name='classifier'), std=0.05))
        self.loss_weight = loss_weight
        self.roi_feat_size = roi_feat_size
        inputs = in_channels if roi_feat_size is None else in_channels * roi_feat_size**2
        self.layers = nn.Sequential(
            nn.Linear(inputs, hidden_channels),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden_channels, hidden_channels),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
        )
        self.classifier = nn.Linear(hidden_channels, 1)

    def forward(self, roi_feats: Tensor) -> Tensor:
        """(n, C, h, w) -> (n,) logits of domain 1; n may be 0."""
        flat = roi_feats.mean((2, 3)) if self.roi_feat_size is None else torch.flatten(roi_feats, 1)
        return self.classifier(self.layers(flat)).squeeze(1)
