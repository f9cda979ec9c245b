"""The global context branch of SCNet."""

from collections.abc import Sequence

import torch.nn as nn
import torch.nn.functional as F
from mmcv.runner import BaseModule
from torch import Tensor

from mmdet.models.builder import HEADS
from mmdet.models.roi_heads.mask_heads.conv_stacks import plain_convs, residual_convs

INIT_CFG = dict(type='Normal', std=0.01, override=dict(name='fc'))  # part of the constructor's signature


def classes_present(labels: Sequence[Tensor], like: Tensor) -> Tensor:
    """N times labels (g_i,) in ``[0, K)`` -> (N, K), shaped as ``like``: 1 for the classes an image has, else 0."""
    present = like.new_zeros(like.shape)
    for row, of_image in zip(present, labels):
        row.index_fill_(0, of_image, 1)
    return present


@HEADS.register_module()
class GlobalContextHead(BaseModule):
    """Which classes an image holds, and a feature vector of the whole image (https://arxiv.org/abs/2012.10150).

    Args:
        num_convs: 3x3 convolutions on the coarsest feature map.
        in_channels: channels of the feature map.
        conv_out_channels: channels of the convolutions.
        num_classes: number of classes K.
        loss_weight: factor of the loss.
        conv_cfg, norm_cfg: kind of the convolutions and of their normalisation.
        conv_to_res: two convolutions each make a residual block.
        init_cfg: initialisation.
    """

    directive_head, directive_fallback = 'glbctx_head', 'roi_head'

    def __init__(
        self,
        num_convs: int = 4,
        in_channels: int = 256,
        conv_out_channels: int = 256,
        num_classes: int = 80,
        loss_weight: float = 1.0,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        conv_to_res: bool = False,
        init_cfg: dict | list[dict] | None = INIT_CFG,
    ) -> None:
        super().__init__(init_cfg)
        self.num_convs = num_convs
        self.in_channels = in_channels
        self.conv_out_channels = conv_out_channels
        self.num_classes = num_classes
        self.loss_weight = loss_weight
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self.conv_to_res = conv_to_res
        build = residual_convs if conv_to_res else plain_convs
        self.convs = build(num_convs, in_channels, conv_out_channels, conv_cfg, norm_cfg)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(conv_out_channels, num_classes)
        self.criterion = nn.BCEWithLogitsLoss()

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Feature maps, the coarsest (N, C, H, W) last -> logits (N, K), context features (N, C', 1, 1)."""
        x = feats[-1]
        for conv in self.convs:
            x = conv(x)
        context = self.pool(x)
        return self.fc(context.flatten(1)), context

    def loss(self, pred: Tensor, labels: Sequence[Tensor], weights: Tensor | None = None) -> Tensor:
        """Mean binary cross entropy of logits (N, K) for the objects' labels, N times (g_i,) in ``[0, K)``.

        ``weights`` (N,) are factors of the images; the mean is over all of them, whatever their weights.
        """
        targets = classes_present(labels, pred)
        if weights is None:
            return self.loss_weight * self.criterion(pred, targets)
        # a weight given to the function could have no gradient, which the log by source asks for
        loss = F.binary_cross_entropy_with_logits(pred, targets, reduction='none')
        return self.loss_weight * (loss * weights[:, None]).mean()
