"""Weights per image for heads over points, which have neither anchors nor a sampler: FCOS, FoveaBox."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmdet.core.directives import ignores_negatives, needs_scores, negative_factors
from mmdet.models.dense_heads.custom_rpn_head import HeadWithWeightPerImage
from mmdet.models.dense_heads.fcos_head import points_to_boxes


class PointHeadWithWeightPerImage(HeadWithWeightPerImage):
    """Mixin for heads whose ``loss`` asks :meth:`AnchorFreeHead.point_weights`: the losses of an image count w times.

    All points that are no positives are negatives; where an image ignores its negatives, they weigh nothing. The policy
    that looks at overlaps takes 1 for a point inside an object and 0 for any other, as a point has no box of its own.
    """

    has_no_sampler = True  # so it heeds ignored negatives itself

    def point_weights(
        self,
        cls_scores: Sequence[Tensor],
        labels: Tensor,
        points: Sequence[Tensor],
        gt_bboxes: Sequence[Tensor],
        img_metas: Sequence[dict],
    ) -> tuple[Sequence[Tensor], Tensor | None, Tensor | None]:
        """Class scores, label weights and box weights; see :meth:`AnchorFreeHead.point_weights`."""
        weights = [self.image_weight(meta) for meta in img_metas]
        flat_points = torch.cat(list(points))
        factors = [self._negative_factors(*image, flat_points) for image in zip(img_metas, gt_bboxes)]
        trivial = all(weight == 1 for weight in weights) and all(isinstance(f, float) and f == 1 for f in factors)
        if trivial and not any(needs_scores(meta, self.obeyed_heads, self.reads_classes) for meta in img_metas):
            return cls_scores, None, None  # the very same losses
        num, counts = len(img_metas), [len(level) for level in points]
        labels = [level.view(num, -1) for level in labels.split([num * count for count in counts])]
        of_points = flat_points.new_ones(num, len(flat_points))
        box_weights = (of_points * of_points.new_tensor(weights)[:, None]).split(counts, dim=1)
        factors = torch.stack([row * factor for row, factor in zip(of_points, factors)]).split(counts, dim=1)
        label_weights = [
            torch.where(level == self.num_classes, weight * factor, weight)
            for level, weight, factor in zip(labels, box_weights, factors)
        ]
        cls_scores, label_weights = self.believed_maps(cls_scores, labels, label_weights, img_metas)
        return cls_scores, *(torch.cat([level.flatten() for level in part]) for part in (label_weights, box_weights))

    def _negative_factors(self, img_meta: dict, gt_bboxes: Tensor, points: Tensor) -> Tensor | float:
        """What one image's points (R, 2) are worth where they are negatives: a number, or (R,)."""
        factors = negative_factors(img_meta, self.obeyed_heads, lambda: inside_objects(points, gt_bboxes))
        return 0.0 if ignores_negatives(img_meta) else factors


def inside_objects(points: Tensor, gt_bboxes: Tensor) -> Tensor:
    """(R,) 1 for points (R, 2) that lie inside one of the boxes (G, 4), 0 for the others."""
    return (points_to_boxes(points, gt_bboxes).amin(dim=2) > 0).any(dim=1).to(points)
