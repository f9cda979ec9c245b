"""Boxes as they are."""

from torch import Tensor

from mmdet.core.bbox.builder import BBOX_CODERS
from mmdet.core.bbox.coder.base_bbox_coder import BaseBBoxCoder


@BBOX_CODERS.register_module()
class PseudoBBoxCoder(BaseBBoxCoder):
    """Targets are the boxes themselves."""

    def encode(self, bboxes: Tensor, gt_bboxes: Tensor) -> Tensor:
        """``gt_bboxes``."""
        return gt_bboxes

    def decode(self, bboxes: Tensor, pred_bboxes: Tensor) -> Tensor:
        """``pred_bboxes``."""
        return pred_bboxes
