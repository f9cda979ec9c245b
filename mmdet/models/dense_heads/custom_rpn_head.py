"""Dense heads that weigh each image's targets by its loss weight directive."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmdet.core.bbox.iou_calculators.iou2d_calculator import greatest_overlaps
from mmdet.core.directives import (
    RPN_HEAD,
    believable_negatives,
    loss_weight,
    needs_scores,
    negative_factors,
    scale_weights,
)
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
        weight_items: on the head: which items of its ``_get_target_single`` are label weights (the first number; the
            item before it are the labels) and box weights (all others). For policies that look at overlaps it has
            ``row_boxes(arguments)``, which gives the boxes (R, 4) of the rows from the arguments of that method.
    """

    directive_head: str = RPN_HEAD
    directive_fallback: str | None = None
    training_iteration: int | None = None
    has_no_sampler = False  # that would heed ignored negatives

    def follow_iter(self, iteration: int) -> None:
        """Say how far the training is."""
        self.training_iteration = iteration

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
        label_weights = self._weigh_negatives(
            labels, label_weights, img_meta, lambda _: greatest_overlaps(rest[2].neg_bboxes, gt_bboxes)
        )
        label_weights, bbox_weights = scale_weights(label_weights, bbox_weights, self.image_weight(img_meta))
        return (labels, label_weights, bbox_targets, bbox_weights, *rest)

    def weigh_rows(
        self, label_weights: Tensor, bbox_weights: Tensor, negative: Tensor, img_meta: dict, overlaps: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As :meth:`_get_targets_single` weighs them, for samples of fixed shapes.

        Args:
            label_weights: (R,).
            bbox_weights: (R, 4).
            negative: (R,) bool.
            img_meta: meta information of the image.
            overlaps: (R,) greatest overlap of each anchor with an object.
        """
        factors = negative_factors(img_meta, self.obeyed_heads, lambda: overlaps)
        label_weights = torch.where(negative, label_weights * factors, label_weights)
        return scale_weights(label_weights, bbox_weights, self.image_weight(img_meta))

    def _get_target_single(self, *args: Any, **kwargs: Any) -> tuple:
        """As :meth:`_get_targets_single`, for the heads that call it so and have items of their own."""
        targets = list(super()._get_target_single(*args, **kwargs))
        if not hasattr(self, 'weight_items'):  # it is made of what _get_targets_single gave, weighted already
            return tuple(targets)
        given = inspect.signature(super()._get_target_single).bind(*args, **kwargs).arguments
        img_meta, labels = given['img_meta'], self.weight_items[0]
        targets[labels] = self._weigh_negatives(
            targets[labels - 1], targets[labels], img_meta, lambda rows: self._overlaps_of_rows(rows, given)
        )
        weight = self.image_weight(img_meta)
        for item in self.weight_items if weight != 1 else ():
            targets[item] = targets[item] * weight
        return tuple(targets)

    def _overlaps_of_rows(self, rows: Tensor, given: Mapping[str, Any]) -> Tensor:
        """(q,) greatest IoU of some rows (q,) of ``_get_target_single`` with an object; ``given`` are its arguments."""
        if not hasattr(self, 'row_boxes'):
            raise ValueError(f"{type(self).__name__} has no policy of negatives that looks at overlaps; use 'soft'")
        return greatest_overlaps(self.row_boxes(given)[rows], given['gt_bboxes'])

    def _weigh_negatives(
        self, labels: Tensor, label_weights: Tensor, img_meta: dict, overlaps: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Label weights (R,) with those of negatives times what the image says of them.

        Args:
            labels: (R,) in ``[0, K]``, K background.
            label_weights: (R,), 0 where an anchor was not sampled.
            img_meta: meta information of the image.
            overlaps: gives (q,) the greatest IoU with an object of each sampled negative, whose rows (q,) it gets.
        """
        if needs_scores(img_meta, self.obeyed_heads, self.reads_classes) and not asks_directives(type(self)):
            raise ValueError(
                f'{type(self).__name__}: the directives of {img_meta.get("filename", "an image")} need the scores of '
                'its negatives, but the loss of this head does not ask believed_maps or believed_rows for them (and '
                'says so by asks_directives = True in its class)'
            )
        negative = labels == self.num_classes
        sampled = negative & (label_weights > 0)  # their rows are in the order of the sampled negatives
        factors = negative_factors(img_meta, self.obeyed_heads, lambda: overlaps(sampled.nonzero().squeeze(1)))
        if isinstance(factors, float):
            return label_weights if factors == 1 else torch.where(negative, label_weights * factors, label_weights)
        return label_weights.masked_scatter(sampled, label_weights[sampled] * factors)

    def believed_rows(
        self, scores: Tensor, labels: Tensor, label_weights: Tensor, img_metas: list[dict], class_wise: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Class scores and label weights as the images' directives say; see :meth:`BaseDenseHead.believed_rows`."""
        rows, weights = believable_negatives(
            scores.flatten(0, 1),
            labels.flatten(),
            label_weights.flatten(),
            torch.arange(len(scores), device=scores.device).repeat_interleave(scores.size(1)),
            img_metas,
            heads=self.obeyed_heads,
            num_classes=self.num_classes,
            softmax=not self.use_sigmoid_cls,
            class_wise=class_wise and self.reads_classes,
            iteration=self.training_iteration,
        )
        return rows.view_as(scores), weights.view_as(label_weights)

    def believed_maps(
        self,
        cls_scores: Sequence[Tensor],
        labels: Sequence[Tensor],
        label_weights: Sequence[Tensor],
        img_metas: list[dict],
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Maps of class scores and label weights as the images' directives say; the very same where they say nothing.

        See :meth:`BaseDenseHead.believed_maps`.
        """
        if not any(needs_scores(meta, self.obeyed_heads, self.reads_classes) for meta in img_metas):
            return cls_scores, label_weights
        believed_scores, believed_weights = [], []
        for scores, *of_level in zip(cls_scores, labels, label_weights):
            channels_last = scores.permute(0, 2, 3, 1)
            rows = channels_last.reshape(len(scores), -1, self.cls_out_channels)
            rows, weights = self.believed_rows(rows, *of_level, img_metas)
            believed_scores.append(rows.reshape(channels_last.shape).permute(0, 3, 1, 2))
            believed_weights.append(weights)
        return believed_scores, believed_weights

    @property
    def reads_classes(self) -> bool:
        """Whether it heeds which classes are annotated; a first stage only tells objects from background."""
        return self.directive_head != RPN_HEAD

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


def asks_directives(head: type) -> bool:
    """Whether the class whose ``loss`` a head has says that it asks the directives; see ``BaseDenseHead``."""
    owner = next((cls for cls in head.__mro__ if 'loss' in vars(cls)), head)
    return vars(owner).get('asks_directives', False)


@HEADS.register_module()
class RPNHeadWithWeightPerImage(HeadWithWeightPerImage, RPNHead):
    """``RPNHead`` with the loss weight of each image; arguments, parameters and checkpoint keys are the same."""
