"""The mask head of Hybrid Task Cascade: it passes its features on to the next stage's."""

from typing import Any

from mmcv.cnn import ConvModule
from torch import Tensor

from mmdet.models.builder import HEADS
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import FCNMaskHead


@HEADS.register_module()
class HTCMaskHead(FCNMaskHead):
    """:class:`FCNMaskHead` that adds the previous stage's features to its input (https://arxiv.org/abs/1901.07518).

    Args:
        with_conv_res: whether it has the 1x1 convolution that previous features go through; the first stage needs
            none.
        args, kwargs: those of :class:`FCNMaskHead`.
    """

    def __init__(self, with_conv_res: bool = True, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.with_conv_res = with_conv_res
        if with_conv_res:
            self.conv_res = ConvModule(
                self.conv_out_channels, self.conv_out_channels, 1, conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg
            )

    def forward(
        self, x: Tensor, res_feat: Tensor | None = None, return_logits: bool = True, return_feat: bool = True
    ) -> Tensor | list[Tensor]:
        """Logits, features, or both.

        Args:
            x: RoI features (n, C, h, w).
            res_feat: features (n, C', h, w) of the previous stage.
            return_logits: give the logits (n, K, s h, s w), K = 1 when class agnostic, s the scale factor.
            return_feat: give the features (n, C', h, w) for the next stage.

        Returns:
            One of them, or a list of both.

        Raises:
            ValueError: neither is asked for, or previous features come to a head without ``with_conv_res``.
        """
        if not (return_logits or return_feat):
            raise ValueError('return_logits and return_feat are both False: there would be nothing to return')
        if res_feat is not None:
            if not self.with_conv_res:
                raise ValueError('res_feat: a head built with with_conv_res=False takes no previous features')
            x = x + self.conv_res(res_feat)
        for conv in self.convs:
            x = conv(x)
        outs = [self._logits(x)] if return_logits else []
        if return_feat:
            outs.append(x)
        return outs if len(outs) > 1 else outs[0]

    def _logits(self, features: Tensor) -> Tensor:
        """Features (n, C', h, w) -> logits (n, K, s h, s w)."""
        if self.upsample is not None:
            features = self.upsample(features)
            if self.upsample_method == 'deconv':
                features = self.relu(features)
        return self.conv_logits(features)
