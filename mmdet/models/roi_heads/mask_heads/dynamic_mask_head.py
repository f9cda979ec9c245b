"""The mask head of QueryInst."""

from typing import Any

from torch import Tensor, nn

from mmdet.models.builder import HEADS
from mmdet.models.roi_heads.functional.compat import attached_zero
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import DECONV, FCNMaskHead
from mmdet.models.roi_heads.mask_heads.paste import masks_of_labels
from mmdet.models.utils.builder import build_transformer

# Defaults of the constructor, which are part of its signature; never written to.
DYNAMIC_CONV = dict(
    type='DynamicConv',
    in_channels=256,
    feat_channels=64,
    out_channels=256,
    input_feat_shape=14,
    with_proj=False,
    act_cfg=dict(type='ReLU', inplace=True),
    norm_cfg=dict(type='LN'),
)
LOSS_MASK = dict(type='DiceLoss', loss_weight=8.0)


@HEADS.register_module()
class DynamicMaskHead(FCNMaskHead):
    """:class:`FCNMaskHead` on RoI features that each object's query has filtered (https://arxiv.org/abs/2105.01928).

    Args:
        num_convs, roi_feat_size, in_channels, conv_kernel_size, conv_out_channels, num_classes, class_agnostic,
            upsample_cfg, conv_cfg, norm_cfg: see :class:`FCNMaskHead`.
        dynamic_conv_cfg: the filter.
        loss_mask: a loss of scores in [0, 1] of whole masks.
        kwargs: more arguments of :class:`FCNMaskHead`.
    """

    def __init__(
        self,
        num_convs: int = 4,
        roi_feat_size: int | tuple[int, int] = 14,
        in_channels: int = 256,
        conv_kernel_size: int = 3,
        conv_out_channels: int = 256,
        num_classes: int = 80,
        class_agnostic: bool = False,
        upsample_cfg: dict = DECONV,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        dynamic_conv_cfg: dict = DYNAMIC_CONV,
        loss_mask: dict = LOSS_MASK,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            num_convs=num_convs,
            roi_feat_size=roi_feat_size,
            in_channels=in_channels,
            conv_kernel_size=conv_kernel_size,
            conv_out_channels=conv_out_channels,
            num_classes=num_classes,
            class_agnostic=class_agnostic,
            upsample_cfg=upsample_cfg,
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg,
            loss_mask=loss_mask,
            **kwargs,
        )
        self.instance_interactive_conv = build_transformer(dynamic_conv_cfg)

    def init_weights(self) -> None:
        """Xavier uniform weights for all matrices and filters, no bias for the last layer."""
        super().init_weights()
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        nn.init.zeros_(self.conv_logits.bias)

    def forward(self, roi_feat: Tensor, proposal_feat: Tensor) -> Tensor:
        """Mask logits of n RoIs.

        Args:
            roi_feat: (n, C, h, w).
            proposal_feat: (..., C), n queries in all.

        Returns:
            (n, K, s h, s w), K = 1 when class agnostic, s the scale factor.
        """
        queries = proposal_feat.reshape(-1, self.in_channels)
        filtered = self.instance_interactive_conv(queries, roi_feat)
        # (n, h * w, C) -> (n, C, h, w)
        return super().forward(filtered.transpose(1, 2).reshape(roi_feat.shape))

    def loss(
        self, mask_pred: Tensor, mask_targets: Tensor, labels: Tensor, weights: Tensor | None = None
    ) -> dict[str, Tensor]:
        """``loss_mask``, the mean over p positives; a zero in the graph where there are none.

        Args:
            mask_pred: (p, K, h, w) logits, K = 1 when class agnostic.
            mask_targets: (p, h, w).
            labels: (p,) in ``[0, K)``.
            weights: (p,) factor of each mask; the mean is over all of them, whatever their weights.
        """
        if not len(mask_pred):
            return dict(loss_mask=attached_zero(mask_pred))
        scores = masks_of_labels(mask_pred, labels).sigmoid()
        return dict(loss_mask=self.loss_mask(scores, mask_targets, weights))
