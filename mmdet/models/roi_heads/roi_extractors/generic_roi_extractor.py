"""Each RoI is pooled from all feature maps."""

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

import torch
from mmcv.cnn.bricks import build_plugin_layer
from torch import Tensor

from mmdet.models.builder import ROI_EXTRACTORS
from mmdet.models.roi_heads.functional.compat import attached_zero_of
from mmdet.models.roi_heads.roi_extractors.base_roi_extractor import BaseRoIExtractor

AGGREGATIONS = ('sum', 'concat')


@ROI_EXTRACTORS.register_module()
class GenericRoIExtractor(BaseRoIExtractor):
    """Pool each RoI from every feature map and merge the results (GRoIE, https://arxiv.org/abs/2004.13665).

    Args:
        aggregation: ``'sum'`` adds the levels, ``'concat'`` stacks their channels, so that ``out_channels`` is the
            number of levels times the channels of one.
        pre_cfg: plugin layer on the pooled features of each level, shared by the levels.
        post_cfg: plugin layer on the merged features.
        kwargs: ``roi_layer``, ``out_channels``, ``featmap_strides``, ``init_cfg``.

    Raises:
        ValueError: ``aggregation`` is not one of the two.
    """

    def __init__(
        self, aggregation: str = 'sum', pre_cfg: dict | None = None, post_cfg: dict | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if aggregation not in AGGREGATIONS:
            raise ValueError(f'aggregation: expected one of {AGGREGATIONS}, got {aggregation!r}')
        self.aggregation = aggregation
        self.with_pre = pre_cfg is not None
        self.with_post = post_cfg is not None
        if self.with_pre:
            self.pre_module = build_plugin_layer(pre_cfg, '_pre_module')[1]
        if self.with_post:
            self.post_module = build_plugin_layer(post_cfg, '_post_module')[1]

    def forward(
        self,
        feats: Sequence[Tensor],
        rois: Tensor,
        roi_scale_factor: float | tuple[float, float] | None = None,
    ) -> Tensor:
        """Pool the RoIs.

        Args:
            feats: L feature maps (N, C, H_l, W_l), finest first.
            rois: (n, 5), image index, then xyxy px; n may be 0.
            roi_scale_factor: scale the RoIs about their centres first.

        Returns:
            (n, out_channels, h, w). A single feature map is pooled as it is, without the plugin layers.
        """
        if len(feats) == 1:
            return self.roi_layers[0](feats[0], rois)
        if roi_scale_factor is not None:
            rois = self.roi_rescale(rois, roi_scale_factor)
        pooled = [layer(feat, rois) for layer, feat in zip(self.roi_layers, feats)]
        if not len(rois):  # plugin layers may refuse an empty batch; their parameters stay attached all the same
            return self._merge(pooled) + attached_zero_of(self)
        if self.with_pre:
            pooled = [self.pre_module(level) for level in pooled]
        merged = self._merge(pooled)
        return self.post_module(merged) if self.with_post else merged

    def _merge(self, pooled: list[Tensor]) -> Tensor:
        """L times (n, C, h, w) -> (n, out_channels, h, w)."""
        merged = reduce(add, pooled) if self.aggregation == 'sum' else torch.cat(pooled, dim=1)
        if merged.size(1) != self.out_channels:
            raise ValueError(
                f'aggregation={self.aggregation!r} of {len(pooled)} levels gives {merged.size(1)} channels, not '
                f'out_channels={self.out_channels}'
            )
        return merged
