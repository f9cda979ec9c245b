"""Box heads whose loss is weighted image by image, as the directive ``roi_head.loss_weight`` says."""

from typing import Any

from torch import Tensor

from mmdet.core.directives import BBOX_HEAD, ROI_HEAD, loss_weight, scale_weights
from mmdet.models.builder import HEADS

from ..calls import takes_img_metas
from .bbox_head import BBoxHead
from .convfc_bbox_head import ConvFCBBoxHead, Shared2FCBBoxHead, Shared4Conv1FCBBoxHead
from .functional import Targets


class CustomBBoxHeadWithWeightPerImage:
    """Mixin that multiplies the losses of each image by its weight.

    Put it before any box head that derives from :class:`BBoxHead`. An image's weight w is its
    ``bbox_head.loss_weight``, else its ``roi_head.loss_weight``, else 1. Its loss and gradient become exactly w times
    what they were and the other images' stay as they were, at w = 0 too: no divisor depends on w. ``acc`` is not
    weighted.
    """

    obeyed_heads = BBOX_HEAD, ROI_HEAD  # the heads whose weight counts; the first that an image has

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
        return weigh_targets(targets, img_metas)

    def _image_targets(self, sampling_result: Any, img_meta: dict | None, cfg: Any) -> Targets:
        targets = super()._image_targets(sampling_result, img_meta, cfg)
        if takes_img_metas(self._get_target_single):
            return targets
        # a subclass overrode the method above by one that does not know of img_metas
        return weigh_targets(targets, img_meta)

    def _cls_avg_factor(self, label_weights: Tensor) -> Tensor:
        """Divisor of the classification loss: all sampled boxes, at least 1, whatever their image's weight."""
        return label_weights.new_full((), max(label_weights.numel(), 1))


def weigh_targets(targets: Targets, img_meta: dict | None) -> Targets:
    """Targets of one image, its label weights and box weights times the image's weight."""
    labels, label_weights, bbox_targets, bbox_weights = targets
    weight = loss_weight(img_meta, BBOX_HEAD, fallback=ROI_HEAD)
    label_weights, bbox_weights = scale_weights(label_weights, bbox_weights, weight)
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
