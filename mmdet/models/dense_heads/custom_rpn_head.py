"""Dense heads that weigh each image's targets by its loss weight directive."""

import inspect
from typing import Any

from torch import Tensor

from mmdet.core.directives import RPN_HEAD, loss_weight, scale_weights
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.rpn_head import RPNHead


class HeadWithWeightPerImage:
    """Mixin: the losses of an image count ``img_meta['rpn_head.loss_weight']`` times.

    Put it before a head derived from ``AnchorHead``: ``class MyHead(HeadWithWeightPerImage, RetinaHead)``. The weight
    scales the image's label and box weights alike and leaves the losses' divisor as it is: weight w makes w times that
    image's loss and gradient, 0 included, and the other images' stay as they were. Absent means 1.

    A head whose targets of one image come from ``_get_target_single`` with an order of its own takes part as well, if
    that method names ``img_meta`` and the head says which of its items are weights.

    Attributes:
        directive_head: the head whose ``loss_weight`` is read; a subclass may name another one of
            ``mmdet.core.directives.WEIGHTED_HEADS``. In a single-stage detector it is ``bbox_head``.
        directive_fallback: the head whose weight applies where that one has none; None: 1 does.
        weight_items: on the head: which items of its ``_get_target_single`` are label weights and box weights.
    """

    directive_head: str = RPN_HEAD
    directive_fallback: str | None = None

    def _get_targets_single(
        self,
        flat_anchors: Tensor,
        valid_flags: Tensor,
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None,
        gt_labels: Tensor | None,
        img_meta: dict,
        label_channels: int = 1,
        unmap_outputs: bool = True,
    ) -> tuple:
        """The next head's targets of one image, its label weights (item 1) and box weights (item 3) scaled."""
        labels, label_weights, bbox_targets, bbox_weights, *rest = super()._get_targets_single(
            flat_anchors,
            valid_flags,
            gt_bboxes,
            gt_bboxes_ignore,
            gt_labels,
            img_meta,
            label_channels=label_channels,
            unmap_outputs=unmap_outputs,
        )
        label_weights, bbox_weights = scale_weights(label_weights, bbox_weights, self.image_weight(img_meta))
        return (labels, label_weights, bbox_targets, bbox_weights, *rest)

    def _get_target_single(self, *args: Any, **kwargs: Any) -> tuple:
        """As :meth:`_get_targets_single`, for the heads that call it so and have items of their own."""
        targets = list(super()._get_target_single(*args, **kwargs))
        given = inspect.signature(super()._get_target_single).bind(*args, **kwargs).arguments
        labels, boxes = self.weight_items
        weight = self.image_weight(given['img_meta'])
        targets[labels], targets[boxes] = scale_weights(targets[labels], targets[boxes], weight)
        return tuple(targets)

    @property
    def obeyed_heads(self) -> tuple[str, ...]:
        """The heads whose weight counts; the first that an image has."""
        return tuple(head for head in (self.directive_head, self.directive_fallback) if head)

    def serve_as(self, slot: str) -> None:
        """Read the weight of the detector's slot that the head is in, else the one that it read so far.

        A class that names another ``directive_head`` keeps it.
        """
        if type(self).directive_head == HeadWithWeightPerImage.directive_head:
            self.directive_head, self.directive_fallback = slot, type(self).directive_head

    def image_weight(self, img_meta: dict) -> float:
        """The weight of one image."""
        return loss_weight(img_meta, self.directive_head, fallback=self.directive_fallback)


@HEADS.register_module()
class RPNHeadWithWeightPerImage(HeadWithWeightPerImage, RPNHead):
    """``RPNHead`` with the loss weight of each image; arguments, parameters and checkpoint keys are the same."""
