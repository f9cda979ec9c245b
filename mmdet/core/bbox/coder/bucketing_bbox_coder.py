"""Boxes as buckets of their sides and offsets in them (SABL, https://arxiv.org/abs/1912.04260).

Each side of a box lies in one of S buckets that run from the rescaled prior's side inwards, half of them covering the
prior. The four sides come in the order left, right, top, down.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdet.core.bbox.builder import BBOX_CODERS
from mmdet.core.bbox.coder.base_bbox_coder import BaseBBoxCoder
from mmdet.core.bbox.coder.delta_xywh_bbox_coder import check_same_number
from mmdet.core.bbox.transforms import bbox_rescale, clip_boxes
from mmdet.core.targets import Targets

SIDES = (0, 2, 1, 3)  # left, right, top, down as columns of xyxy; an involution, so it leads back as well


def generate_buckets(proposals: Tensor, num_buckets: int, scale_factor: float) -> tuple[Tensor, Tensor]:
    """Middles of all buckets.

    Args:
        proposals: (n, 4) xyxy px.
        num_buckets: buckets along a side of the prior; S = ceil(num_buckets / 2) are used for each of its sides.
        scale_factor: the prior is scaled by this first.

    Returns:
        Middles (n, 4, S) px, and steps (n, 4, 1) px from one to the next: positive for left and top.
    """
    boxes = bbox_rescale(proposals, scale_factor)
    width, height = ((boxes[:, 2:] - boxes[:, :2]) / num_buckets).unbind(dim=1)
    steps = torch.stack([width, -width, height, -height], dim=1)[..., None]
    # half a step in: a bucket stands for its middle, so that the offset in the right bucket is at most half a bucket
    numbers = 0.5 + torch.arange(math.ceil(num_buckets / 2), dtype=boxes.dtype, device=boxes.device)
    return boxes[:, SIDES, None] + numbers * steps, steps


def bbox2bucket(
    proposals: Tensor,
    gt: Tensor,
    num_buckets: int,
    scale_factor: float,
    offset_topk: int = 2,
    offset_upperbound: float = 1.0,
    cls_ignore_neighbor: bool = True,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Targets that lead from ``proposals`` (n, 4) to ``gt`` (n, 4); for the arguments see the coder.

    Returns:
        Offsets, their weights, bucket labels (one-hot) and their weights; each (n, 4 * S), side by side.
    """
    middles, steps = generate_buckets(proposals, num_buckets, scale_factor)
    offsets = (middles - gt[:, SIDES, None]) / steps.abs()  # (n, 4, S), in buckets
    distances = offsets.abs()
    # neighbours learn their offsets, too: a test reads the offset of the likeliest bucket, which may be the one beside
    nearest, order = distances.topk(min(offset_topk, distances.size(-1)), dim=-1, largest=False)
    near = (nearest < offset_upperbound).to(offsets.dtype)
    near[..., 0] = 1  # the nearest bucket always learns its offset
    offset_weights = torch.zeros_like(offsets).scatter(-1, order, near)
    labels = F.one_hot(order[..., 0], offsets.size(-1)).to(offsets.dtype)
    label_weights = torch.ones_like(offsets)
    if cls_ignore_neighbor:
        # a side close to the border of two buckets is described by both: the second is neither right nor wrong
        label_weights = label_weights.masked_fill((distances < 1) & (labels == 0), 0)
    return offsets.flatten(1), offset_weights.flatten(1), labels.flatten(1), label_weights.flatten(1)


def bucket2bbox(
    proposals: Tensor,
    cls_preds: Tensor,
    offset_preds: Tensor,
    num_buckets: int,
    scale_factor: float = 1.0,
    max_shape: Sequence | Tensor | None = None,
    clip_border: bool = True,
) -> tuple[Tensor, Tensor]:
    """Boxes that predictions lead to from ``proposals`` (n, 4).

    Args:
        proposals: (n, 4) xyxy px.
        cls_preds: (n, 4 * S) logits of the buckets.
        offset_preds: (n, 4 * S) offsets, in buckets.
        num_buckets: see :func:`generate_buckets`.
        scale_factor: see there.
        max_shape: (h, w[, c]) px of the image; None: no clipping.
        clip_border: whether to clip at all, to w - 1 and h - 1.

    Returns:
        Boxes (n, 4) xyxy px, and confidences (n,) of their place: the mean over the sides of the best bucket's
        probability, and that of the second best where they are neighbours.
    """
    middles, steps = generate_buckets(proposals, num_buckets, scale_factor)
    # learnt by independent sigmoids and read by a softmax: the published weights expect both
    probabilities, buckets = cls_preds.reshape(middles.shape).softmax(dim=-1).topk(2, dim=-1)  # (n, 4, 2)
    positions = middles - offset_preds.reshape(middles.shape) * steps.abs()
    boxes = positions.gather(-1, buckets[..., :1])[..., 0][:, SIDES]
    if clip_border and max_shape is not None:
        # to the middle of the last pixel, w - 1; coders of deltas clip to its edge, w
        boxes = clip_boxes(boxes, max_shape, offset=1)
    # where the two likeliest buckets meet, the side lies between them and both speak for one place; where they do not,
    # the second speaks for another place
    neighbours = (buckets[..., 0] - buckets[..., 1]).abs() == 1
    confidence = probabilities[..., 0] + probabilities[..., 1] * neighbours
    return boxes, confidence.mean(dim=1)


@BBOX_CODERS.register_module()
class BucketingBBoxCoder(BaseBBoxCoder):
    """Boxes xyxy <-> buckets and offsets of their sides.

    Args:
        num_buckets: buckets along a side of the prior; half of them serve each of its sides.
        scale_factor: the prior is scaled by this first.
        offset_topk: in so many of the nearest buckets the offset is learnt.
        offset_upperbound: but only where it is less than this, in buckets (the nearest bucket is always used).
        cls_ignore_neighbor: whether buckets less than one bucket away, but not the nearest, are left out of the
            classification.
        clip_border: whether decoded boxes are clipped to the image, where its shape is given.
    """

    def __init__(
        self,
        num_buckets: int,
        scale_factor: float,
        offset_topk: int = 2,
        offset_upperbound: float = 1.0,
        cls_ignore_neighbor: bool = True,
        clip_border: bool = True,
    ) -> None:
        super().__init__()
        self.num_buckets = num_buckets
        self.scale_factor = scale_factor
        self.offset_topk = offset_topk
        self.offset_upperbound = offset_upperbound
        self.cls_ignore_neighbor = cls_ignore_neighbor
        self.clip_border = clip_border

    def encode(self, bboxes: Tensor, gt_bboxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Targets from ``bboxes`` (n, 4) to ``gt_bboxes`` (n, 4); see :func:`bbox2bucket`."""
        check_same_number(bboxes, gt_bboxes, 'encode')
        return bbox2bucket(
            bboxes,
            gt_bboxes,
            self.num_buckets,
            self.scale_factor,
            self.offset_topk,
            self.offset_upperbound,
            self.cls_ignore_neighbor,
        )

    def decode(
        self, bboxes: Tensor, pred_bboxes: tuple[Tensor, Tensor], max_shape: Sequence | Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Boxes and confidences from ``bboxes`` (n, 4) and (logits, offsets); see :func:`bucket2bbox`."""
        cls_preds, offset_preds = pred_bboxes
        check_same_number(bboxes, cls_preds, 'decode')
        check_same_number(bboxes, offset_preds, 'decode')
        return bucket2bbox(
            bboxes, cls_preds, offset_preds, self.num_buckets, self.scale_factor, max_shape, self.clip_border
        )


def joined_targets(coder: BucketingBBoxCoder, boxes: Tensor, gts: Tensor) -> tuple[Tensor, Tensor]:
    """Targets and weights (k, 8 S), the buckets' before the offsets', of boxes (k, 4) of objects ``gts`` (k, 4)."""
    offsets, offset_weights, buckets, bucket_weights = coder.encode(boxes, gts)
    return torch.cat([buckets, offsets], dim=1), torch.cat([bucket_weights, offset_weights], dim=1)


def split_targets(targets: Targets) -> tuple[Tensor, ...]:
    """Targets and weights of buckets and offsets side by side, each apart.

    Args:
        targets: of rows in any number of dimensions, (..., 8 S): the buckets', then the offsets'.

    Returns:
        labels, label weights, targets and weights of buckets, the same of offsets.
    """
    labels, label_weights, values, weights = targets
    (buckets, offsets), (bucket_weights, offset_weights) = values.chunk(2, dim=-1), weights.chunk(2, dim=-1)
    return labels, label_weights, buckets, bucket_weights, offsets, offset_weights
