"""Box heads that heed the directives of the images, such as ``roi_head.loss_weight``, image by image."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmdet.core.bbox.iou_calculators.iou2d_calculator import greatest_overlaps
from mmdet.core.directives import (
    BBOX_HEAD,
    ROI_HEAD,
    believable_negatives,
    loss_weight,
    negative_factors,
    scale_weights,
)
from mmdet.models.builder import HEADS
from mmdet.models.roi_heads.bbox_heads.bbox_head import BBoxHead
from mmdet.models.roi_heads.bbox_heads.convfc_bbox_head import ConvFCBBoxHead, Shared2FCBBoxHead, Shared4Conv1FCBBoxHead
from mmdet.models.roi_heads.bbox_heads.functional import Targets
from mmdet.models.roi_heads.functional.compat import takes_img_metas

OBEYED = BBOX_HEAD, ROI_HEAD  # the heads whose directives count; the first that an image has


class BoxDirectives:
    """What the mixins of box heads share.

    Attributes:
        training_iteration: of the training; None: not known. ``SetIterHook`` keeps it up to date.
    """

    obeyed_heads = OBEYED
    reads_classes = True  # whether it heeds which classes are annotated
    training_iteration: int | None = None

    def follow_iter(self, iteration: int) -> None:
        """Say how far the training is."""
        self.training_iteration = iteration

    def _believed(
        self,
        cls_score: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        images: Tensor,
        img_metas: Sequence[dict] | None,
    ) -> tuple[Tensor, Tensor]:
        """Logits and label weights as the directives of the images (n,) of the rows say."""
        return believable_negatives(
            cls_score,
            labels,
            label_weights,
            images,
            img_metas,
            heads=self.obeyed_heads,
            num_classes=self.num_classes,
            softmax=not getattr(self.loss_cls, 'use_sigmoid', False),
            iteration=self.training_iteration,
        )


class CustomBBoxHeadWithWeightPerImage(BoxDirectives):
    """Mixin that heeds the directives of each image; see :mod:`mmdet.core.directives`.

    Put it before any box head that derives from :class:`BBoxHead`. An image's weight w is its
    ``bbox_head.loss_weight``, else its ``roi_head.loss_weight``, else 1. Its loss and gradient become exactly w times
    what they were and the other images' stay as they were, at w = 0 too: no divisor depends on w. ``acc`` is not
    weighted. What an image says of its negatives scales their label weights alike.
    """

    def _get_target_single(
        self,
        pos_bboxes: Tensor,
        neg_bboxes: Tensor,
        pos_gt_bboxes: Tensor,
        pos_gt_labels: Tensor,
        img_metas: dict | None = None,
        cfg: Any = None,
    ) -> Targets:
        """Targets of one image; see :meth:`BBoxHead._get_target_single`. ``img_metas`` is that image's."""
        if cfg is None:  # five positional arguments: the fifth is cfg
            img_metas, cfg = None, img_metas
        parent = super()._get_target_single
        boxes = (pos_bboxes, neg_bboxes, pos_gt_bboxes, pos_gt_labels)
        targets = parent(*boxes, img_metas, cfg) if takes_img_metas(parent) else parent(*boxes, cfg)
        return weigh_targets(targets, img_metas, neg_bboxes, pos_gt_bboxes)

    def _image_targets(self, sampling_result: Any, img_meta: dict | None, cfg: Any) -> Targets:
        targets = super()._image_targets(sampling_result, img_meta, cfg)
        if takes_img_metas(self._get_target_single):
            return targets
        # a subclass overrode the method above by one that does not know of img_metas
        return weigh_targets(targets, img_meta, sampling_result.neg_bboxes, sampling_result.pos_gt_bboxes)

    def _cls_avg_factor(self, label_weights: Tensor) -> Tensor:
        """Divisor of the classification loss: all sampled boxes, at least 1, whatever their image's weight."""
        return label_weights.new_full((), max(label_weights.numel(), 1))

    def loss(
        self,
        cls_score: Tensor | None,
        bbox_pred: Any,
        rois: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        bbox_targets: Any,
        bbox_weights: Any,
        reduction_override: str | None = None,
        img_metas: Sequence[dict] | None = None,
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """Losses of a batch; see :meth:`BBoxHead.loss`. ``img_metas`` are those of its images."""
        if cls_score is not None:
            cls_score, label_weights = self._believed(cls_score, labels, label_weights, rois[:, 0].long(), img_metas)
        return super().loss(
            cls_score, bbox_pred, rois, labels, label_weights, bbox_targets, bbox_weights, reduction_override, **kwargs
        )

    def weigh_rows(
        self, label_weights: Tensor, bbox_weights: Tensor, negative: Tensor, img_meta: dict, overlaps: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As :func:`weigh_targets`, where positives and negatives do not stand apart.

        Args:
            label_weights: (S,).
            bbox_weights: (S, 4).
            negative: (S,) bool.
            img_meta: meta information of the image.
            overlaps: (S,) greatest overlap of each box with an object.
        """
        factors = negative_factors(img_meta, OBEYED, lambda: overlaps)
        label_weights = torch.where(negative, label_weights * factors, label_weights)
        return scale_weights(label_weights, bbox_weights, loss_weight(img_meta, BBOX_HEAD, fallback=ROI_HEAD))


class QueryHeadWithWeightPerImage(BoxDirectives):
    """As :class:`CustomBBoxHeadWithWeightPerImage`, for heads with a row for each proposal, sampled or not.

    Put it before a head derived from :class:`DIIHead`, whose targets are in the order of the proposals.
    """

    def _image_targets(self, sampling_result: Any, img_meta: dict | None, cfg: Any) -> Targets:
        targets = super()._image_targets(sampling_result, img_meta, cfg)
        boxes = sampling_result.neg_bboxes, sampling_result.pos_gt_bboxes
        return weigh_targets(targets, img_meta, *boxes, rows=sampling_result.neg_inds)

    def loss(
        self,
        cls_score: Tensor | None,
        bbox_pred: Tensor | None,
        labels: Tensor,
        label_weights: Tensor,
        *targets: Any,
        img_metas: Sequence[dict] | None = None,
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """Losses of a batch; see :meth:`DIIHead.loss`. ``img_metas`` are those of its images, with n / N rows each."""
        if cls_score is not None and img_metas:
            images = torch.arange(len(img_metas), device=labels.device).repeat_interleave(len(labels) // len(img_metas))
            cls_score, label_weights = self._believed(cls_score, labels, label_weights, images, img_metas)
        return super().loss(cls_score, bbox_pred, labels, label_weights, *targets, **kwargs)


def weigh_targets(
    targets: Targets, img_meta: dict | None, negatives: Tensor, objects: Tensor, rows: Tensor | None = None
) -> Targets:
    """Targets of one image, its label weights and box weights times what its directives say.

    Args:
        targets: of the sampled boxes.
        img_meta: meta information of the image.
        negatives: (q, 4) boxes of the negatives, px.
        objects: (p, 4) boxes of the objects that the positives belong to, px.
        rows: (q,) of the negatives; None: they are the last ones.
    """
    labels, label_weights, bbox_targets, bbox_weights = targets
    weight = loss_weight(img_meta, BBOX_HEAD, fallback=ROI_HEAD)
    label_weights, bbox_weights = scale_weights(label_weights, bbox_weights, weight)
    factors = negative_factors(img_meta, OBEYED, lambda: greatest_overlaps(negatives, objects))
    if not isinstance(factors, float) or factors != 1:
        rows = slice(len(label_weights) - len(negatives), None) if rows is None else rows
        label_weights = label_weights.clone()
        label_weights[rows] *= factors
    return labels, label_weights, bbox_targets, bbox_weights


@HEADS.register_module()
class BBoxHeadWithWeightPerImage(CustomBBoxHeadWithWeightPerImage, BBoxHead):
    """:class:`BBoxHead` with a loss weight for each image."""


@HEADS.register_module()
class ConvFCBBoxHeadWithWeightPerImage(CustomBBoxHeadWithWeightPerImage, ConvFCBBoxHead):
    """:class:`ConvFCBBoxHead` with a loss weight for each image."""


@HEADS.register_module()
class Shared2FCBBoxHeadWithWeightPerImage(CustomBBoxHeadWithWeightPerImage, Shared2FCBBoxHead):
    """:class:`Shared2FCBBoxHead` with a loss weight for each image."""


@HEADS.register_module()
class Shared4Conv1FCBBoxHeadWithWeightPerImage(CustomBBoxHeadWithWeightPerImage, Shared4Conv1FCBBoxHead):
    """:class:`Shared4Conv1FCBBoxHead` with a loss weight for each image."""
