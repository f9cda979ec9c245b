"""Weights per image for the heads that make more targets than ``AnchorHead``: guided anchors and cascade RPN."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmdet.core.bbox.iou_calculators.iou2d_calculator import greatest_overlaps
from mmdet.core.directives import ignores_negatives, negative_factors, scale_weights
from mmdet.models.dense_heads.custom_rpn_head import HeadWithWeightPerImage


class GuidedTargetsWithWeightPerImage(HeadWithWeightPerImage):
    """Mixin for heads with guided anchors: the location and the shape loss of an image count ``w`` times, too.

    Places without an object are negatives of the location loss: they count as the image's directives say, and not at
    all where it ignores its negatives. Policies that look at single boxes leave them as they are.
    """

    def _ga_loc_target_single(
        self, gt_bboxes: Tensor, featmap_sizes: Sequence[tuple[int, int]], img_meta: dict | None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Location targets and weights of one image, L maps (H, W) each."""
        targets, weights = super()._ga_loc_target_single(gt_bboxes, featmap_sizes, img_meta)
        img_meta = img_meta or {}
        negatives = negative_factors(img_meta, self.obeyed_heads, lambda: gt_bboxes.new_ones(0))
        believed = 0.0 if ignores_negatives(img_meta) else negatives if isinstance(negatives, float) else 1.0
        weight = self.image_weight(img_meta)
        if weight == 1 and believed == 1:
            return targets, weights
        return targets, [
            torch.where(target == 0, level * believed, level) * weight for target, level in zip(targets, weights)
        ]

    def _ga_shape_target_single(self, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        """Shape targets of one image, their weights (item 2) scaled."""
        squares, gts, weights, *rest = super()._ga_shape_target_single(*args, **kwargs)
        img_meta = kwargs['img_meta'] if 'img_meta' in kwargs else args[5]
        return (squares, gts, scale_weights(weights, weights, self.image_weight(img_meta))[1], *rest)


class RegionTargetsWithWeightPerImage(HeadWithWeightPerImage):
    """Mixin for stages of cascade RPN, whose first stage takes its targets from the objects' central regions."""

    def _region_targets_single(
        self,
        anchors: list[Tensor],
        valid_flags: list[Tensor],
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None,
        gt_labels: Tensor | None,
        img_meta: dict,
        *args: Any,
        **kwargs: Any,
    ) -> tuple:
        """Targets of one image, its label weights (item 1) and box weights (item 3) scaled."""
        labels, label_weights, bbox_targets, bbox_weights, *rest = super()._region_targets_single(
            anchors, valid_flags, gt_bboxes, gt_bboxes_ignore, gt_labels, img_meta, *args, **kwargs
        )
        label_weights = self._weigh_negatives(
            labels, label_weights, img_meta, lambda _: greatest_overlaps(rest[2].neg_bboxes, gt_bboxes)
        )
        label_weights, bbox_weights = scale_weights(label_weights, bbox_weights, self.image_weight(img_meta))
        return (labels, label_weights, bbox_targets, bbox_weights, *rest)
