"""Assignment by overlap as torchvision and Detectron2 do it."""

import torch
from torch import Tensor

from mmdet.core.bbox.assigners.max_iou_assigner import MaxIoUAssigner, low_quality_matches
from mmdet.core.bbox.builder import BBOX_ASSIGNERS


@BBOX_ASSIGNERS.register_module()
class OwnBestMaxIoUAssigner(MaxIoUAssigner):
    """:class:`MaxIoUAssigner` in which a box that a ground truth takes as its best one keeps its own best ground truth.

    The two differ where a box is the best one of a ground truth but overlaps another one more: there it becomes
    positive for that other one.
    """

    def match(self, overlaps: Tensor) -> tuple[Tensor, Tensor]:
        """(G, n) overlaps, G and n > 0 -> best overlaps (n,) and numbers of the ground truth (n,) from 1, 0 or -1."""
        max_overlaps, gt_inds = super().match(overlaps)
        if self.match_low_quality:
            forced = low_quality_matches(overlaps, self.min_pos_iou, self.gt_max_assign_all) > 0
            gt_inds = torch.where(forced, overlaps.argmax(dim=0) + 1, gt_inds)
        return max_overlaps, gt_inds
