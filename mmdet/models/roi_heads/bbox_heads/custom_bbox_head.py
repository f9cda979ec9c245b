"""Box heads whose losses the images' directives change, image by image: ``roi_head.loss_weight`` and its kin."""

from typing import Any

import torch
from torch import Tensor

from mmdet.core.bbox.iou_calculators.iou2d_calculator import greatest_overlaps
from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets
from mmdet.models.builder import HEADS
from mmdet.models.directives import weigh_targets
from mmdet.models.roi_heads.bbox_heads.bbox_head import BBoxHead
from mmdet.models.roi_heads.bbox_heads.convfc_bbox_head import (
    ConvFCBBoxHead,
    Shared2FCBBoxHead,
    Shared4Conv1FCBBoxHead,
)
from mmdet.models.roi_heads.functional.compat import takes_img_metas

# what the mixin comes before is known to the classes below alone
Mixed: Any = object


class CustomBBoxHeadWithWeightPerImage(Mixed):
    """Mixin that turns directives on for a box head, also for the targets of a single image.

    Put it before any box head that derives from :class:`BBoxHead`. An image's weight w is its
    ``bbox_head.loss_weight``, else its ``roi_head.loss_weight``, else 1. Its loss and gradient become exactly w times
    what they were and the other images' stay as they were, at w = 0 too: no divisor depends on w. ``acc`` is not
    weighted. ``<Head>WithWeightPerImage``, which the registry makes of any head, does the same to the losses.
    """

    weighs_images = True
    _weighs_batch = False  # whether get_targets, which weighs the whole batch, is at work

    def get_targets(self, *args: Any, **kwargs: Any) -> tuple:
        """The next head's targets of a batch, weighed by it."""
        self._weighs_batch = True
        try:
            return super().get_targets(*args, **kwargs)
        finally:
            self._weighs_batch = False

    def _get_target_single(
        self,
        pos_bboxes: Tensor,
        neg_bboxes: Tensor,
        pos_gt_bboxes: Tensor,
        pos_gt_labels: Tensor,
        img_metas: ImgMeta | None = None,
        cfg: Any = None,
    ) -> Any:
        """Targets of one image; see :meth:`BBoxHead._get_target_single`. ``img_metas`` is that image's."""
        if cfg is None:  # five positional arguments: the fifth is cfg
            img_metas, cfg = None, img_metas
        parent = super()._get_target_single
        boxes = (pos_bboxes, neg_bboxes, pos_gt_bboxes, pos_gt_labels)
        targets = parent(*boxes, img_metas, cfg) if takes_img_metas(parent) else parent(*boxes, cfg)
        if self._weighs_batch:
            return targets
        sampled = torch.cat([pos_bboxes, neg_bboxes])
        weighed = weigh_targets(
            self,
            Targets(*targets[:4]),
            targets[0].new_zeros(len(sampled)),
            None if img_metas is None else [img_metas],
            lambda _: greatest_overlaps(sampled, pos_gt_bboxes),
        )
        return (*weighed, *targets[4:])


@HEADS.register_module()
class BBoxHeadWithWeightPerImage(CustomBBoxHeadWithWeightPerImage, BBoxHead):
    """:class:`BBoxHead` with a loss weight for each image."""

    has_static_shapes = True


@HEADS.register_module()
class ConvFCBBoxHeadWithWeightPerImage(CustomBBoxHeadWithWeightPerImage, ConvFCBBoxHead):
    """:class:`ConvFCBBoxHead` with a loss weight for each image."""

    has_static_shapes = True


@HEADS.register_module()
class Shared2FCBBoxHeadWithWeightPerImage(CustomBBoxHeadWithWeightPerImage, Shared2FCBBoxHead):
    """:class:`Shared2FCBBoxHead` with a loss weight for each image."""

    has_static_shapes = True


@HEADS.register_module()
class Shared4Conv1FCBBoxHeadWithWeightPerImage(CustomBBoxHeadWithWeightPerImage, Shared4Conv1FCBBoxHead):
    """:class:`Shared4Conv1FCBBoxHead` with a loss weight for each image."""

    has_static_shapes = True
