"""Costs of matching P predictions with G ground truths: the entries of the matrix that a Hungarian matcher sums up."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdet.core.bbox.iou_calculators.iou2d_calculator import bbox_overlaps
from mmdet.core.bbox.match_costs.builder import MATCH_COST
from mmdet.core.bbox.transforms import bbox_cxcywh_to_xyxy, bbox_xyxy_to_cxcywh

BOX_FORMATS = ('xyxy', 'xywh')


def pixel_costs(if_one: Tensor, if_zero: Tensor, gts: Tensor) -> Tensor:
    """Mean over the pixels of the cost that each one has for its target.

    Args:
        if_one: (P, m) costs where the target is 1.
        if_zero: (P, m) costs where the target is 0.
        gts: (G, m) targets, 0 or 1.

    Returns:
        (P, G).
    """
    # products of matrices: the costs of all pairs at every pixel would be P * G * m numbers
    return (if_one @ gts.T + if_zero @ (1 - gts).T) / gts.size(1)


@MATCH_COST.register_module()
class BBoxL1Cost:
    """Sum of the coordinates' absolute differences.

    Args:
        weight: factor.
        box_format: in which format coordinates are compared: ``'xyxy'``, or ``'xywh'`` for centre and size.

    Raises:
        ValueError: another format.
    """

    def __init__(self, weight: float = 1.0, box_format: str = 'xyxy') -> None:
        if box_format not in BOX_FORMATS:
            raise ValueError(f'box_format must be one of {BOX_FORMATS}, got {box_format!r}')
        self.weight = weight
        self.box_format = box_format

    def __call__(self, bbox_pred: Tensor, gt_bboxes: Tensor) -> Tensor:
        """(P, G) for predictions (P, 4) centre x, centre y, w, h and ground truth (G, 4) xyxy, both in [0, 1]."""
        if self.box_format == 'xywh':
            gt_bboxes = bbox_xyxy_to_cxcywh(gt_bboxes)
        else:
            bbox_pred = bbox_cxcywh_to_xyxy(bbox_pred)
        return torch.cdist(bbox_pred, gt_bboxes, p=1) * self.weight


@MATCH_COST.register_module()
class FocalLossCost:
    """Focal loss (https://arxiv.org/abs/1708.02002) of the target's class, less that of its absence.

    Args:
        weight: factor.
        alpha: weight of the positive part; 1 - alpha is that of the negative one.
        gamma: exponent that dampens easy predictions.
        eps: keeps logarithms finite.
        binary_input: whether predictions are masks, of which the mean over the pixels is taken.
    """

    def __init__(
        self,
        weight: float = 1.0,
        alpha: float = 0.25,
        gamma: float = 2,
        eps: float = 1e-12,
        binary_input: bool = False,
    ) -> None:
        self.weight = weight
        self.alpha = alpha
        self.gamma = gamma
        self.eps = eps
        self.binary_input = binary_input

    def _costs(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Focal losses of each logit for the targets 1 and 0."""
        p = logits.sigmoid()
        if_one = -(p + self.eps).log() * self.alpha * (1 - p).pow(self.gamma)
        if_zero = -(1 - p + self.eps).log() * (1 - self.alpha) * p.pow(self.gamma)
        return if_one, if_zero

    def _focal_loss_cost(self, cls_pred: Tensor, gt_labels: Tensor) -> Tensor:
        """(P, G) for logits (P, K) and labels (G,)."""
        if_one, if_zero = self._costs(cls_pred)
        # a prediction that is matched with nothing pays if_zero anyway: only the difference depends on the match
        return (if_one - if_zero)[:, gt_labels] * self.weight

    def _mask_focal_loss_cost(self, cls_pred: Tensor, gt_labels: Tensor) -> Tensor:
        """(P, G) for logits (P, ...) and masks (G, ...) of 0 and 1."""
        return pixel_costs(*self._costs(cls_pred.flatten(1)), gt_labels.flatten(1).float()) * self.weight

    def __call__(self, cls_pred: Tensor, gt_labels: Tensor) -> Tensor:
        """(P, G) for logits (P, K) and labels (G,), or, with ``binary_input``, for logits and masks."""
        cost = self._mask_focal_loss_cost if self.binary_input else self._focal_loss_cost
        return cost(cls_pred, gt_labels)


@MATCH_COST.register_module()
class ClassificationCost:
    """Minus the probability of the target's class (DETR, https://arxiv.org/abs/2005.12872).

    Args:
        weight: factor.
    """

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight

    def __call__(self, cls_pred: Tensor, gt_labels: Tensor) -> Tensor:
        """(P, G) for logits (P, K + 1) and labels (G,)."""
        # no logarithm: so the cost is bounded, and of the size of the boxes' costs (section 3.1 of the paper)
        return -cls_pred.softmax(dim=-1)[:, gt_labels] * self.weight


@MATCH_COST.register_module()
class IoUCost:
    """Minus the overlap.

    Args:
        iou_mode: kind of overlap; see :func:`bbox_overlaps`.
        weight: factor.
    """

    def __init__(self, iou_mode: str = 'giou', weight: float = 1.0) -> None:
        self.iou_mode = iou_mode
        self.weight = weight

    def __call__(self, bboxes: Tensor, gt_bboxes: Tensor) -> Tensor:
        """(P, G) for predictions (P, 4) and ground truth (G, 4), both xyxy px."""
        return -bbox_overlaps(bboxes, gt_bboxes, mode=self.iou_mode) * self.weight


@MATCH_COST.register_module()
class DiceCost:
    """Dice loss of masks (V-Net, https://arxiv.org/abs/1606.04797).

    Args:
        weight: factor.
        pred_act: whether predictions are logits (True) or probabilities.
        eps: added to both sides of the fraction.
        naive_dice: whether its denominator sums the masks, or their squares as in the paper.
    """

    def __init__(self, weight: float = 1.0, pred_act: bool = False, eps: float = 1e-3, naive_dice: bool = True) -> None:
        self.weight = weight
        self.pred_act = pred_act
        self.eps = eps
        self.naive_dice = naive_dice

    def binary_mask_dice_loss(self, mask_preds: Tensor, gt_masks: Tensor) -> Tensor:
        """(P, G) for probabilities (P, ...) and masks (G, ...) of 0 and 1."""
        preds, gts = mask_preds.flatten(1), gt_masks.flatten(1).float()
        power = 1 if self.naive_dice else 2
        total = preds.pow(power).sum(dim=1)[:, None] + gts.pow(power).sum(dim=1)
        return 1 - (2 * preds @ gts.T + self.eps) / (total + self.eps)

    def __call__(self, mask_preds: Tensor, gt_masks: Tensor) -> Tensor:
        """(P, G) for predictions (P, ...) and masks (G, ...) of 0 and 1."""
        preds = mask_preds.sigmoid() if self.pred_act else mask_preds
        return self.binary_mask_dice_loss(preds, gt_masks) * self.weight


@MATCH_COST.register_module()
class CrossEntropyLossCost:
    """Binary cross entropy of masks, the mean over the pixels.

    Args:
        weight: factor.
        use_sigmoid: must be True; there is no other kind.

    Raises:
        ValueError: ``use_sigmoid`` is False.
    """

    def __init__(self, weight: float = 1.0, use_sigmoid: bool = True) -> None:
        if not use_sigmoid:
            raise ValueError('CrossEntropyLossCost: use_sigmoid=False is not there')
        self.weight = weight
        self.use_sigmoid = use_sigmoid

    def _binary_cross_entropy(self, cls_pred: Tensor, gt_labels: Tensor) -> Tensor:
        """(P, G) for logits (P, ...) and masks (G, ...) of 0 and 1."""
        logits = cls_pred.flatten(1).float()
        # -log(sigmoid(x)) and -log(1 - sigmoid(x)), finite for any logit
        return pixel_costs(F.softplus(-logits), F.softplus(logits), gt_labels.flatten(1).float())

    def __call__(self, cls_pred: Tensor, gt_labels: Tensor) -> Tensor:
        """As :meth:`_binary_cross_entropy`, times the weight."""
        return self._binary_cross_entropy(cls_pred, gt_labels) * self.weight
