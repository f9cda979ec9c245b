"""Each RoI is pooled from the one feature map that suits its size."""

from collections.abc import Sequence

from torch import Tensor

from mmdet.models.builder import ROI_EXTRACTORS
from mmdet.models.roi_heads.roi_extractors.base_roi_extractor import BaseRoIExtractor
from mmdet.ops.roi import pool_from_levels

# a RoI whose size is exactly a level's lower bound belongs to that level, in spite of rounding in log2
LEVEL_EPS = 1e-6


def roi_levels(rois: Tensor, num_levels: int, finest_scale: float) -> Tensor:
    """Feature level of each RoI, by the rule of FPN (https://arxiv.org/abs/1612.03144).

    Args:
        rois: (n, 5), image index, then xyxy px.
        num_levels: number of levels.
        finest_scale: level 0 holds the RoIs with sqrt(area) < ``2 * finest_scale`` px; each further level begins
            at twice the size.

    Returns:
        (n,) int64 in ``[0, num_levels)``.
    """
    width, height = (rois[:, 3:5] - rois[:, 1:3]).unbind(1)
    scale = (width * height).sqrt()
    levels = (scale / finest_scale + LEVEL_EPS).log2().floor().clamp(0, num_levels - 1)
    return levels.nan_to_num().long()  # RoIs of a diverged training have no size; they must not break the pooling


@ROI_EXTRACTORS.register_module()
class SingleRoIExtractor(BaseRoIExtractor):
    """Pool each RoI from one feature map, chosen by its size.

    Args:
        roi_layer: ``dict(type=NAME, ...)`` of ``mmdet.ops``.
        out_channels: channels of the feature maps and of the result.
        featmap_strides: stride of each feature map in px.
        finest_scale: see :func:`roi_levels`; px, default 56.
        init_cfg: initialisation, if any.
    """

    static_shapes = False  # set by mmdet.models.options.static_shapes

    def __init__(
        self,
        roi_layer: dict,
        out_channels: int,
        featmap_strides: Sequence[int],
        finest_scale: float = 56,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(roi_layer, out_channels, featmap_strides, init_cfg)
        self.finest_scale = finest_scale

    def map_roi_levels(self, rois: Tensor, num_levels: int) -> Tensor:
        """(n, 5) RoIs -> (n,) int64 levels in ``[0, num_levels)``."""
        return roi_levels(rois, num_levels, self.finest_scale)

    def forward(
        self, feats: Sequence[Tensor], rois: Tensor, roi_scale_factor: float | tuple[float, float] | None = None
    ) -> Tensor:
        """Pool the RoIs.

        Args:
            feats: L feature maps (N, C, H_l, W_l), finest first.
            rois: (n, 5), image index, then xyxy px; n may be 0.
            roi_scale_factor: scale the RoIs about their centres after their levels are chosen.

        Returns:
            (n, C, h, w), attached to every feature map, also to those that no RoI falls on.
        """
        levels = self.map_roi_levels(rois, len(feats))
        if roi_scale_factor is not None:
            rois = self.roi_rescale(rois, roi_scale_factor)
        if len(feats) == 1:
            return self.roi_layers[0](feats[0], rois)
        return pool_from_levels(list(self.roi_layers), feats, rois, levels, self.static_shapes and self.training)
