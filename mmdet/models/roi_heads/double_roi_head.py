"""The RoI head of Double-Head R-CNN."""

from typing import Any

from torch import Tensor

from mmdet.models.builder import HEADS
from mmdet.models.roi_heads.standard_roi_head import StandardRoIHead
from mmdet.models.roi_heads.test_mixins import Features


@HEADS.register_module()
class DoubleHeadRoIHead(StandardRoIHead):
    """The box regression sees enlarged RoIs (https://arxiv.org/abs/1904.06493).

    Args:
        reg_roi_scale_factor: sides of the RoIs of the regression / sides of the RoIs.
        kwargs: those of :class:`StandardRoIHead`; the box head takes two features.
    """

    has_static_shapes = True

    def __init__(self, reg_roi_scale_factor: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reg_roi_scale_factor = reg_roi_scale_factor

    def _bbox_forward(self, x: Features, rois: Tensor) -> dict[str, Any]:
        """Features and predictions of RoIs (n, 5): ``cls_score``, ``bbox_pred``, ``bbox_feats``."""
        feats = x[: self.bbox_roi_extractor.num_inputs]
        cls_feats = self.bbox_roi_extractor(feats, rois)
        reg_feats = self.bbox_roi_extractor(feats, rois, roi_scale_factor=self.reg_roi_scale_factor)
        if self.with_shared_head:
            cls_feats, reg_feats = self.shared_head(cls_feats), self.shared_head(reg_feats)
        cls_score, bbox_pred = self.bbox_head(cls_feats, reg_feats)
        return dict(cls_score=cls_score, bbox_pred=bbox_pred, bbox_feats=cls_feats)
