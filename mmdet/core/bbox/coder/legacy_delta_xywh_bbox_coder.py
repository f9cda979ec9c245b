"""Boxes as offsets of centre and size, as mmdetection 1.x counted them: x2 and y2 are the last pixel."""

from collections.abc import Sequence

from torch import Tensor

from mmdet.core.bbox.builder import BBOX_CODERS
from mmdet.core.bbox.coder.base_bbox_coder import BaseBBoxCoder
from mmdet.core.bbox.coder.delta_xywh_bbox_coder import (
    ONES,
    WH_RATIO_CLIP,
    ZEROS,
    bbox2delta,
    check_same_number,
    check_statistics,
    delta2bbox,
)

LAST_PIXEL = 1.0  # px that a box is wider than x2 - x1


@BBOX_CODERS.register_module()
class LegacyDeltaXYWHBBoxCoder(BaseBBoxCoder):
    """Boxes xyxy <-> normalised dx, dy, dw, dh; a box is x2 - x1 + 1 px wide and ends at w - 1 at most.

    Decoding does not take that px off again: what was encoded comes back half a px larger on each side. The numbers
    of mmdetection 2.x for models of 1.x are made so.

    Args:
        target_means: means of the targets.
        target_stds: standard deviations of the targets.
    """

    def __init__(self, target_means: Sequence[float] = ZEROS, target_stds: Sequence[float] = ONES) -> None:
        super().__init__()
        check_statistics(target_means, target_stds)
        self.means = target_means
        self.stds = target_stds

    def encode(self, bboxes: Tensor, gt_bboxes: Tensor) -> Tensor:
        """(n, 4) deltas from ``bboxes`` (n, 4) to ``gt_bboxes`` (n, 4)."""
        check_same_number(bboxes, gt_bboxes, 'encode')
        return bbox2delta(bboxes, gt_bboxes, self.means, self.stds, extent=LAST_PIXEL)

    def decode(
        self,
        bboxes: Tensor,
        pred_bboxes: Tensor,
        max_shape: Sequence | Tensor | None = None,
        wh_ratio_clip: float = WH_RATIO_CLIP,
    ) -> Tensor:
        """(n, 4k) boxes from ``bboxes`` (n, 4) and deltas (n, 4k)."""
        check_same_number(bboxes, pred_bboxes, 'decode')
        return delta2bbox(bboxes, pred_bboxes, self.means, self.stds, max_shape, wh_ratio_clip, extent=LAST_PIXEL)
