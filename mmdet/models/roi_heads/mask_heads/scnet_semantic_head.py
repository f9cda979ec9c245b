"""The semantic segmentation branch of SCNet."""

from typing import Any

import torch.nn as nn

from mmdet.models.builder import HEADS
from mmdet.models.roi_heads.mask_heads.conv_stacks import residual_convs
from mmdet.models.roi_heads.mask_heads.fused_semantic_head import FusedSemanticHead
from mmdet.models.utils.res_layer import ResLayer


@HEADS.register_module()
class SCNetSemanticHead(FusedSemanticHead):
    """:class:`FusedSemanticHead` with residual blocks (https://arxiv.org/abs/2012.10150).

    Args:
        conv_to_res: two convolutions each make a residual block; otherwise they stay plain.
        kwargs: those of :class:`FusedSemanticHead`.
    """

    def __init__(self, conv_to_res: bool = True, **kwargs: Any) -> None:
        self.conv_to_res = conv_to_res  # the parent's constructor builds the convolutions
        super().__init__(**kwargs)

    def _build_convs(self) -> nn.ModuleList | ResLayer:
        if not self.conv_to_res:
            return super()._build_convs()
        return residual_convs(self.num_convs, self.in_channels, self.conv_out_channels, self.conv_cfg, self.norm_cfg)
