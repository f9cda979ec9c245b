"""One-to-one assignment of masks at the least cost (Mask2Former, https://arxiv.org/abs/2112.01527)."""

from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult
from mmdet.core.bbox.assigners.base_assigner import BaseAssigner
from mmdet.core.bbox.assigners.hungarian_assigner import CLS_COST, check_no_ignored, matched_result
from mmdet.core.bbox.builder import BBOX_ASSIGNERS
from mmdet.core.bbox.match_costs.builder import build_match_cost
from mmdet.core.img_meta import ImgMeta

# Defaults of the public signature; never written to.
MASK_COST = dict(type='FocalLossCost', weight=1.0, binary_input=True)
DICE_COST = dict(type='DiceCost', weight=1.0)


@BBOX_ASSIGNERS.register_module()
class MaskHungarianAssigner(BaseAssigner):
    """Matches each ground truth with one predicted mask so that the sum of all costs is least.

    Args:
        cls_cost: config of the cost of class scores.
        mask_cost: config of the cost of single pixels.
        dice_cost: config of the cost of whole masks.
    """

    def __init__(self, cls_cost: dict = CLS_COST, mask_cost: dict = MASK_COST, dice_cost: dict = DICE_COST) -> None:
        self.cls_cost = build_match_cost(cls_cost)
        self.mask_cost = build_match_cost(mask_cost)
        self.dice_cost = build_match_cost(dice_cost)

    def assign(
        self,
        cls_pred: Tensor | None,
        mask_pred: Tensor,
        gt_labels: Tensor,
        gt_mask: Tensor,
        img_meta: ImgMeta,
        gt_bboxes_ignore: None = None,
        eps: float = 1e-7,
    ) -> AssignResult:
        """Match the predictions of one image.

        Args:
            cls_pred: (P, K) logits; None leaves the classes out.
            mask_pred: (P, ...) logits of the masks' pixels or of points in them.
            gt_labels: (G,) long.
            gt_mask: (G, ...), 0 or 1.
            img_meta: not used.
            gt_bboxes_ignore: must be None.
            eps: not used.

        Returns:
            Result without overlaps; predictions that are not matched are background.

        Raises:
            NotImplementedError: there are ignored regions.
        """
        check_no_ignored(gt_bboxes_ignore, type(self).__name__)
        cost = mask_pred.new_zeros(len(mask_pred), len(gt_labels))
        if cls_pred is not None and self.cls_cost.weight != 0:
            cost = cost + self.cls_cost(cls_pred, gt_labels)
        for mask_cost in (self.mask_cost, self.dice_cost):
            if mask_cost.weight != 0:
                cost = cost + mask_cost(mask_pred, gt_mask)
        return matched_result(cost, gt_labels)
