"""Assignment by the overlap of approximations (Guided Anchoring, https://arxiv.org/abs/1901.03278)."""

from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult
from mmdet.core.bbox.assigners.max_iou_assigner import MaxIoUAssigner
from mmdet.core.bbox.builder import BBOX_ASSIGNERS


@BBOX_ASSIGNERS.register_module()
class ApproxMaxIoUAssigner(MaxIoUAssigner):
    """:class:`MaxIoUAssigner` for squares whose overlap is that of the best of several boxes around them."""

    def assign(
        self,
        approxs: Tensor,
        squares: Tensor,
        approxs_per_octave: int,
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None = None,
        gt_labels: Tensor | None = None,
    ) -> AssignResult:
        """Assign the squares of one image.

        Args:
            approxs: (n * approxs_per_octave, 4) xyxy px, those of the first square first.
            squares: (n, 4) xyxy px; they decide about ignored regions.
            approxs_per_octave: boxes for each square.
            gt_bboxes: (G, 4) xyxy px.
            gt_bboxes_ignore: (I, 4) xyxy px of regions without annotation.
            gt_labels: (G,) long.

        Returns:
            Result of n squares.
        """
        device = squares.device
        approxs, squares, gt_bboxes, gt_bboxes_ignore, gt_labels = self.to_working_device(
            len(gt_bboxes), approxs, squares, gt_bboxes, gt_bboxes_ignore, gt_labels
        )
        all_overlaps = self.iou_calculator(gt_bboxes, approxs)
        overlaps = all_overlaps.reshape(len(gt_bboxes), len(squares), approxs_per_octave).amax(dim=2)
        return self.assign_or_ignore(overlaps, squares, gt_bboxes_ignore, gt_labels, device)
