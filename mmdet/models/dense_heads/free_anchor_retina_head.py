"""FreeAnchor: which anchors of an object learn is itself learnt (https://arxiv.org/abs/1909.02466).

The likely anchors of an object are its bag. One of the bag should find the object; anchors that no object's predicted
box comes from should find nothing.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmdet.core.bbox.iou_calculators.iou2d_calculator import bbox_overlaps
from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.functional.rows import to_full_precision
from mmdet.models.dense_heads.pisa_retinanet_head import flatten_batch
from mmdet.models.dense_heads.retina_head import RetinaHead
from mmdet.ops.probability_loss import probability_cross_entropy

EPS = 1e-12  # keeps quotients and logarithms finite


def found_by_class(boxes: Tensor, gt_bboxes: Tensor, gt_labels: Tensor, num_classes: int, threshold: float) -> Tensor:
    """How sure it is that a predicted box is one of an object of a class.

    It rises from 0 at the threshold to 1 at the greatest overlap that any box has with the object.

    Args:
        boxes: (R, 4), predicted.
        gt_bboxes: (G, 4).
        gt_labels: (G,).
        num_classes: K.
        threshold: overlap.

    Returns:
        (R, K) in [0, 1]; of several objects of a class the greatest.
    """
    overlaps = bbox_overlaps(gt_bboxes, boxes)  # (G, R)
    best = overlaps.amax(dim=1, keepdim=True).clamp(min=threshold + EPS)
    found = ((overlaps - threshold) / (best - threshold)).clamp(min=0, max=1)
    by_class = found.new_zeros(num_classes, len(boxes))
    return by_class.scatter_reduce(0, gt_labels[:, None].expand_as(found), found, 'amax').T


@HEADS.register_module()
class FreeAnchorRetinaHead(RetinaHead):
    """RetinaNet's head with the losses of FreeAnchor.

    Args:
        num_classes: K, without background.
        in_channels: channels of the feature maps.
        stacked_convs: 3x3 convolutions in each tower.
        conv_cfg: kind of these convolutions; None: ``Conv2d``.
        norm_cfg: normalisation after each; None: none.
        pre_anchor_topk: anchors in an object's bag.
        bbox_thr: overlap from which on a predicted box may be one of an object.
        gamma: power of the factor by which easy negatives count less.
        alpha: weight of the bags; the negatives have ``1 - alpha``.
        kwargs: other arguments of :class:`RetinaHead`.
    """

    # read where heads with weights are made
    no_weight_per_image = 'its loss is over bags of anchors of the whole batch'

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        stacked_convs: int = 4,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        pre_anchor_topk: int = 50,
        bbox_thr: float = 0.6,
        gamma: float = 2.0,
        alpha: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, in_channels, stacked_convs, conv_cfg, norm_cfg, **kwargs)
        self.pre_anchor_topk = pre_anchor_topk
        self.bbox_thr = bbox_thr
        self.gamma = gamma
        self.alpha = alpha

    def loss(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """``positive_bag_loss`` and ``negative_bag_loss``.

        Args:
            cls_scores: L maps (N, A * C, H, W).
            bbox_preds: L maps (N, A * 4, H, W).
            gt_bboxes: N times (G, 4).
            gt_labels: N times (G,).
            img_metas: meta information of the N images.
            gt_bboxes_ignore: not used.
        """
        cls_scores, bbox_preds = to_full_precision(cls_scores), to_full_precision(bbox_preds)
        num = len(cls_scores[0])
        anchors = torch.cat(self.anchors_of_maps(cls_scores, img_metas)[0][0])
        probs = flatten_batch(cls_scores, self.cls_out_channels).sigmoid().unflatten(0, (num, -1))
        deltas = flatten_batch(bbox_preds, 4).unflatten(0, (num, -1))
        bags, found = [], []
        for image in zip(probs, deltas, gt_bboxes, gt_labels):
            bags.append(self._image_bags(anchors, *image))
            with torch.no_grad():
                boxes = self.bbox_coder.decode(anchors, image[1])
                found.append(found_by_class(boxes, *image[2:], self.cls_out_channels, self.bbox_thr))
        count = sum(len(gts) for gts in gt_bboxes)
        negatives = self.negative_bag_loss(probs, torch.stack(found))
        weights = self.image_weights(img_metas, negatives.device)
        if weights is not None:  # the losses are logged by source
            bags = [image * weight for image, weight in zip(bags, weights)]
            negatives = negatives * weights[:, None, None]
        return dict(
            # the sum of the deltas keeps the box tower in the graph where no image has an object
            positive_bag_loss=torch.cat(bags).sum() / max(1, count) + deltas.sum() * 0,
            negative_bag_loss=negatives.sum() / max(1, count * self.pre_anchor_topk),
        )

    def _image_bags(
        self, anchors: Tensor, probs: Tensor, deltas: Tensor, gt_bboxes: Tensor, gt_labels: Tensor
    ) -> Tensor:
        """Loss (G,) of each object's bag in one image, from its (R, C) probabilities and (R, 4) deltas."""
        bags = (
            bbox_overlaps(gt_bboxes, anchors).topk(min(self.pre_anchor_topk, len(anchors)), dim=1, sorted=False).indices
        )  # (G, n)
        targets = self.bbox_coder.encode(anchors[bags], gt_bboxes[:, None].expand(*bags.shape, 4))
        loss_bbox = self.loss_bbox(deltas[bags], targets, reduction_override='none').sum(-1)
        # exp(-loss) turns the box loss into a likelihood, so that a bag's anchors are ranked by class and box together
        return self.positive_bag_loss(probs[bags, gt_labels[:, None]], torch.exp(-loss_bbox))

    def positive_bag_loss(self, matched_cls_prob: Tensor, matched_box_prob: Tensor) -> Tensor:
        """Loss of bags (G,), from the anchors' probabilities of the object's class and of its box, (G, n) each.

        The mean of a bag moves to its maximum as one of its anchors becomes sure.
        """
        probs = matched_cls_prob * matched_box_prob
        # the mean of equal weights at first, when no anchor is sure; the maximum in the limit, as the surest one's
        # weight grows without bound
        weights = 1 / (1 - probs).clamp(min=EPS)
        mean_max = (weights / weights.sum(dim=1, keepdim=True) * probs).sum(dim=1)
        return self.alpha * probability_cross_entropy(mean_max, torch.ones_like(mean_max))

    def negative_bag_loss(self, cls_prob: Tensor, box_prob: Tensor) -> Tensor:
        """Elementwise loss of probabilities (N, R, C) as far as no object was found, ``box_prob`` (N, R, C)."""
        # an anchor whose box finds an object of the class is no negative of it, however far from the object it began
        probs = (cls_prob * (1 - box_prob)).clamp(min=EPS, max=1 - EPS)
        return (1 - self.alpha) * probs.pow(self.gamma) * probability_cross_entropy(probs, torch.zeros_like(probs))
