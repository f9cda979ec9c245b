"""What every assigner of boxes to ground truth offers."""

from abc import ABCMeta, abstractmethod

from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult

IOU_CALCULATOR = dict(type='BboxOverlaps2D')  # default of the assigners that go by overlap; never written to


class BaseAssigner(metaclass=ABCMeta):
    """Decides for one image which box is to find which ground truth."""

    @abstractmethod
    def assign(
        self,
        bboxes: Tensor,
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None = None,
        gt_labels: Tensor | None = None,
    ) -> AssignResult:
        """Assign boxes (n, 4) to ground truth (G, 4); boxes in ``gt_bboxes_ignore`` (I, 4) are left out."""
