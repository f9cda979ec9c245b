"""Assignment of points by level and distance (RepPoints, https://arxiv.org/abs/1904.11490)."""

import torch
from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult, labels_of
from mmdet.core.bbox.assigners.base_assigner import BaseAssigner
from mmdet.core.bbox.assigners.center_prior import centers_of, rows_to_mask
from mmdet.core.bbox.builder import BBOX_ASSIGNERS

MIN_SIDE = 1e-6  # px; keeps logarithms and quotients of boxes without area finite


@BBOX_ASSIGNERS.register_module()
class PointAssigner(BaseAssigner):
    """Each ground truth takes the nearest points of the level that its size belongs to.

    Args:
        scale: an object of this many strides of side belongs to the level of that stride.
        pos_num: points that each ground truth takes.
    """

    def __init__(self, scale: float = 4, pos_num: int = 3) -> None:
        self.scale = scale
        self.pos_num = pos_num

    def assign(
        self,
        points: Tensor,
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None = None,
        gt_labels: Tensor | None = None,
    ) -> AssignResult:
        """Assign the points of one image.

        Args:
            points: (n, 3) x, y, stride in px.
            gt_bboxes: (G, 4) xyxy px.
            gt_bboxes_ignore: not used.
            gt_labels: (G,) long.

        Returns:
            Result of n points, without overlaps. A point that several objects want goes to the nearest, by distance
            in units of its size.
        """
        if len(points) == 0 or len(gt_bboxes) == 0:
            gt_inds = points.new_zeros(len(points), dtype=torch.long)
        else:
            distances = self.distances(points, gt_bboxes)
            rows = distances.topk(min(self.pos_num, len(points)), dim=0, largest=False).indices
            candidates = rows_to_mask(rows, len(points)) & distances.isfinite()
            nearest_gt = distances.masked_fill(~candidates, torch.inf).argmin(dim=1)
            gt_inds = torch.where(candidates.any(dim=1), nearest_gt + 1, 0)
        labels = None if gt_labels is None else labels_of(gt_inds, gt_labels)
        return AssignResult(len(gt_bboxes), gt_inds, None, labels)

    def distances(self, points: Tensor, gt_bboxes: Tensor) -> Tensor:
        """(n, G) distances to the objects' centres in units of their size; infinite on other levels than theirs."""
        sizes = (gt_bboxes[:, 2:] - gt_bboxes[:, :2]).clamp(min=MIN_SIDE)
        levels = points[:, 2].log2().int()
        gt_levels = (sizes / self.scale).log2().mean(dim=1).int()
        gt_levels = gt_levels.clamp(min=levels.min(), max=levels.max())
        offsets = (points[:, None, :2] - centers_of(gt_bboxes)) / sizes
        distances = torch.linalg.vector_norm(offsets, dim=-1)
        return distances.masked_fill(levels[:, None] != gt_levels, torch.inf)
