"""Assignment by the objects' central regions (FSAF, https://arxiv.org/abs/1903.00621)."""

import torch
from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult, labels_of
from mmdet.core.bbox.assigners.base_assigner import IOU_CALCULATOR, BaseAssigner
from mmdet.core.bbox.assigners.center_prior import centers_of, depth_inside
from mmdet.core.bbox.builder import BBOX_ASSIGNERS
from mmdet.core.bbox.iou_calculators.builder import build_iou_calculator
from mmdet.core.bbox.iou_calculators.iou2d_calculator import box_area
from mmdet.core.bbox.transforms import bbox_rescale
from mmdet.utils.running.device_copy import tensor_like


def scale_boxes(bboxes: Tensor, scale: float) -> Tensor:
    """Boxes (n, 4), scaled about their centres.

    Raises:
        ValueError: there are not four columns.
    """
    if bboxes.ndim != 2 or bboxes.size(1) != 4:
        raise ValueError(f'scale_boxes: expected (n, 4) xyxy px, got {tuple(bboxes.shape)}')
    return bbox_rescale(bboxes, scale)


def is_located_in(points: Tensor, bboxes: Tensor) -> Tensor:
    """(n, G) bool: which points (n, 2) lie inside which boxes (G, 4), the sides left out."""
    return depth_inside(points, bboxes) > 0


def bboxes_area(bboxes: Tensor) -> Tensor:
    """(n,) areas of boxes (n, 4)."""
    return box_area(bboxes)


@BBOX_ASSIGNERS.register_module()
class CenterRegionAssigner(BaseAssigner):
    """Boxes in an object's core are positive; in its shadow around the core, the object's class is left out.

    Where cores overlap, the smaller object gets the box, and the larger one casts its shadow there.

    Args:
        pos_scale: size of the core as a fraction of the object's.
        neg_scale: size of core and shadow together.
        min_pos_iof: a box lies in a region where more than this fraction of its area does.
        ignore_gt_scale: size of the central part of ignored regions that is left out.
        foreground_dominate: whether a box that is both positive and in the shadow of the same class is positive, or
            only in the shadow.
        iou_calculator: config of the overlap.
    """

    def __init__(
        self,
        pos_scale: float,
        neg_scale: float,
        min_pos_iof: float = 1e-2,
        ignore_gt_scale: float = 0.5,
        foreground_dominate: bool = False,
        iou_calculator: dict = IOU_CALCULATOR,
    ) -> None:
        self.pos_scale = pos_scale
        self.neg_scale = neg_scale
        self.min_pos_iof = min_pos_iof
        self.ignore_gt_scale = ignore_gt_scale
        self.foreground_dominate = foreground_dominate
        self.iou_calculator = build_iou_calculator(iou_calculator)

    def get_gt_priorities(self, gt_bboxes: Tensor) -> Tensor:
        """(G,) long: rank by area, 0 for the largest object; the higher rank gets a box that two of them want."""
        return bboxes_area(gt_bboxes).argsort(descending=True, stable=True).argsort()

    def assign(
        self,
        bboxes: Tensor,
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None = None,
        gt_labels: Tensor | None = None,
    ) -> AssignResult:
        """Assign the boxes of one image.

        Args:
            bboxes: (n, 4) xyxy px.
            gt_bboxes: (G, 4) xyxy px.
            gt_bboxes_ignore: (I, 4) xyxy px of regions without annotation.
            gt_labels: (G,) long.

        Returns:
            Result of n boxes, without overlaps, with the extra property ``shadowed_labels`` (s, 2) long: box, and
            class to leave out there; None where no labels are given.
        """
        centers = centers_of(bboxes)
        in_core, in_shadow = self.regions(bboxes, centers, gt_bboxes)
        gt_inds, shadowed = self.assign_one_hot_gt_indices(in_core, in_shadow, self.get_gt_priorities(gt_bboxes))
        if gt_bboxes_ignore is not None and len(gt_bboxes_ignore):
            ignored = is_located_in(centers, scale_boxes(gt_bboxes_ignore, self.ignore_gt_scale)).any(dim=1)
            gt_inds = gt_inds.masked_fill(ignored, -1)
        labels = shadowed_labels = None
        if gt_labels is not None:
            labels = labels_of(gt_inds, gt_labels)
            shadowed_labels = torch.stack([shadowed[:, 0], gt_labels[shadowed[:, 1] - 1]], dim=1)
            both = labels[shadowed[:, 0]] == shadowed_labels[:, 1]
            if self.foreground_dominate:
                shadowed_labels = shadowed_labels[~both]
            else:
                labels[shadowed[both, 0]] = -1
                gt_inds[shadowed[both, 0]] = 0
        result = AssignResult(len(gt_bboxes), gt_inds, None, labels)
        result.set_extra_property('shadowed_labels', shadowed_labels)
        return result

    def regions(self, bboxes: Tensor, centers: Tensor, gt_bboxes: Tensor) -> tuple[Tensor, Tensor]:
        """(n, G) bool twice: boxes in the core of an object (with their centre in the object), and in its shadow."""
        core, shadow = scale_boxes(gt_bboxes, self.pos_scale), scale_boxes(gt_bboxes, self.neg_scale)
        in_core = self.iou_calculator(bboxes, core, mode='iof') > self.min_pos_iof
        # a large box may reach into a core from far outside of the object
        in_core &= is_located_in(centers, gt_bboxes)
        in_shadow = self.iou_calculator(bboxes, shadow, mode='iof') > self.min_pos_iof
        return in_core, in_shadow & ~in_core

    def assign_one_hot_gt_indices(
        self, is_bbox_in_gt_core: Tensor, is_bbox_in_gt_shadow: Tensor, gt_priority: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Give each box in cores the object of the highest priority.

        Args:
            is_bbox_in_gt_core: (n, G) bool.
            is_bbox_in_gt_shadow: (n, G) bool.
            gt_priority: (G,) long, different numbers; default: the later, the higher.

        Returns:
            Numbers of the ground truth (n,) from 1, or 0; and (s, 2) long: box and number of the ground truth, from 1,
            of all shadows and of the cores that did not get their box.
        """
        num_bboxes, num_gts = is_bbox_in_gt_core.shape
        if num_gts == 0:
            none = is_bbox_in_gt_core.new_zeros(num_bboxes, dtype=torch.long)
            return none, none.new_zeros(0, 2)
        if gt_priority is None:
            gt_priority = torch.arange(num_gts, device=is_bbox_in_gt_core.device)
        # of nested objects the inner one has no other place to be learnt at
        best, best_gt = torch.where(is_bbox_in_gt_core, gt_priority, -1).max(dim=1)
        gt_inds = torch.where(best >= 0, best_gt + 1, 0)
        lost = is_bbox_in_gt_core.scatter(1, best_gt[:, None], False)
        shadowed = torch.cat([is_bbox_in_gt_shadow.nonzero(), lost.nonzero()])
        return gt_inds, shadowed + tensor_like([0, 1], shadowed)
