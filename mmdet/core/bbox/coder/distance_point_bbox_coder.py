"""Boxes as distances of their sides from a point (FCOS, https://arxiv.org/abs/1904.01355)."""

from collections.abc import Sequence

from torch import Tensor

from mmdet.core.bbox.builder import BBOX_CODERS
from mmdet.core.bbox.coder.base_bbox_coder import BaseBBoxCoder
from mmdet.core.bbox.coder.delta_xywh_bbox_coder import check_same_number
from mmdet.core.bbox.transforms import bbox2distance, distance2bbox


@BBOX_CODERS.register_module()
class DistancePointBBoxCoder(BaseBBoxCoder):
    """Boxes xyxy <-> left, top, right, bottom distances in px.

    Args:
        clip_border: whether decoded boxes are clipped to the image, where its shape is given.
    """

    def __init__(self, clip_border: bool = True) -> None:
        super().__init__()
        self.clip_border = clip_border

    def encode(self, points: Tensor, gt_bboxes: Tensor, max_dis: float | None = None, eps: float = 0.1) -> Tensor:
        """(n, 4) distances from ``points`` (n, 2) to ``gt_bboxes`` (n, 4); see :func:`bbox2distance`."""
        check_same_number(points, gt_bboxes, 'encode')
        return bbox2distance(points, gt_bboxes, max_dis, eps)

    def decode(self, points: Tensor, pred_bboxes: Tensor, max_shape: Sequence | Tensor | None = None) -> Tensor:
        """(..., 4) boxes from ``points`` (..., 2) and distances (..., 4); see :func:`distance2bbox`."""
        check_same_number(points, pred_bboxes, 'decode')
        return distance2bbox(points, pred_bboxes, max_shape if self.clip_border else None)
