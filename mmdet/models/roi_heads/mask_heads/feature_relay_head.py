"""The feature relay of SCNet: from the box branch to the mask branch."""

import torch.nn as nn
from mmcv.runner import BaseModule
from torch import Tensor

from mmdet.models.builder import HEADS

INIT_CFG = dict(type='Kaiming', layer='Linear')  # part of the constructor's signature


@HEADS.register_module()
class FeatureRelayHead(BaseModule):
    """Turns feature vectors of boxes into feature maps (https://arxiv.org/abs/2012.10150).

    Args:
        in_channels: features of a box.
        out_conv_channels: channels C of the map.
        roi_feat_size: height and width of the map before it is enlarged.
        scale_factor: enlargement.
        init_cfg: initialisation.
    """

    no_weight_per_image = 'it has no loss'  # read where heads with weights are made

    def __init__(
        self,
        in_channels: int = 1024,
        out_conv_channels: int = 256,
        roi_feat_size: int = 7,
        scale_factor: int = 2,
        init_cfg: dict | list[dict] | None = INIT_CFG,
    ) -> None:
        super().__init__(init_cfg)
        if not isinstance(roi_feat_size, int):
            raise TypeError(f'roi_feat_size: expected an int, got {roi_feat_size!r}')
        self.in_channels = in_channels
        self.out_conv_channels = out_conv_channels
        self.roi_feat_size = roi_feat_size
        self.scale_factor = scale_factor
        self.out_channels = roi_feat_size**2 * out_conv_channels
        self.fc = nn.Linear(in_channels, self.out_channels)
        self.upsample = nn.Upsample(scale_factor=scale_factor, mode='bilinear', align_corners=True)

    def forward(self, x: Tensor) -> Tensor:
        """(n, in_channels) -> (n, C, s h, s w), h = w = ``roi_feat_size`` and s the scale factor; n may be 0."""
        size = self.roi_feat_size
        return self.upsample(self.fc(x).view(-1, self.out_conv_channels, size, size))
