"""The mask head of SCNet."""

from typing import Any

import torch.nn as nn

from mmdet.models.builder import HEADS
from mmdet.models.roi_heads.mask_heads.conv_stacks import residual_convs
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import FCNMaskHead


@HEADS.register_module()
class SCNetMaskHead(FCNMaskHead):
    """:class:`FCNMaskHead` with residual blocks (https://arxiv.org/abs/2012.10150).

    Args:
        conv_to_res: two convolutions each make a residual block; otherwise they stay plain.
        kwargs: those of :class:`FCNMaskHead`.

    Raises:
        ValueError: residual blocks with another kernel size than 3.
    """

    def __init__(self, conv_to_res: bool = True, **kwargs: Any) -> None:
        self.conv_to_res = conv_to_res  # the parent's constructor builds the convolutions
        super().__init__(**kwargs)
        if conv_to_res:
            self.num_res_blocks = self.num_convs // 2

    def _build_convs(self) -> nn.Module:
        if not self.conv_to_res:
            return super()._build_convs()
        if self.conv_kernel_size != 3:
            raise ValueError(f'conv_kernel_size: residual blocks need 3, got {self.conv_kernel_size}')
        return residual_convs(self.num_convs, self.in_channels, self.conv_out_channels, self.conv_cfg, self.norm_cfg)
