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
            item before it are the labels) and box weights (all others).
    """

    directive_head: str = RPN_HEAD
    directive_fallback: str | None = None
    training_iteration: int | None = None

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
            labels, label_weights, img_meta, lambda: greatest_overlaps(rest[2].neg_bboxes, gt_bboxes)
        )
        label_weights, bbox_weights = scale_weights(label_weights, bbox_weights, self.image_weight(img_meta))
        return (labels, label_weights, bbox_targets, bbox_weights, *rest)

    def weigh_targets(
        self, labels: Tensor, label_weights: Tensor, bbox_weights: Tensor, img_meta: dict, overlaps: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As :meth:`_get_targets_single` weighs them, for all anchors; see :meth:`AnchorHead.weigh_targets`."""
        factors = negative_factors(img_meta, self.obeyed_heads, lambda: overlaps)
        if not isinstance(factors, float) or factors != 1:
            label_weights = torch.where(labels == self.num_classes, label_weights * factors, label_weights)
        return scale_weights(label_weights, bbox_weights, self.image_weight(img_meta))

    def _get_target_single(self, *args: Any, **kwargs: Any) -> tuple:
        """As :meth:`_get_targets_single`, for the heads that call it so and have items of their own."""
        targets = list(super()._get_target_single(*args, **kwargs))
        if not hasattr(self, 'weight_items'):  # it is made of what _get_targets_single gave, weighted already
            return tuple(targets)
        img_meta = inspect.signature(super()._get_target_single).bind(*args, **kwargs).arguments['img_meta']
        labels = self.weight_items[0]
        targets[labels] = self._weigh_negatives(targets[labels - 1], targets[labels], img_meta, self._no_overlaps)
        weight = self.image_weight(img_meta)
        for item in self.weight_items if weight != 1 else ():
            targets[item] = targets[item] * weight
        return tuple(targets)

    def _no_overlaps(self) -> Tensor:
        raise ValueError(f"{type(self).__name__} has no policy of negatives that looks at overlaps; use 'soft'")

    def _weigh_negatives(
        self, labels: Tensor, label_weights: Tensor, img_meta: dict, overlaps: Callable[[], Tensor]
    ) -> Tensor:
        """Label weights (R,) with those of negatives times what the image says of them.

        Args:
            labels: (R,) in ``[0, K]``, K background.
            label_weights: (R,), 0 where an anchor was not sampled.
            img_meta: meta information of the image.
            overlaps: gives (q,) the greatest IoU of each sampled negative with an object.
        """
        if needs_scores(img_meta, self.obeyed_heads, self.reads_classes) and not hands_img_metas_on(type(self)):
            raise ValueError(
                f'{type(self).__name__}: the directives of {img_meta.get("filename", "an image")} need the scores of '
                'its negatives, but the loss of this head does not hand img_metas on to loss_single'
            )
        factors = negative_factors(img_meta, self.obeyed_heads, overlaps)
        negative = labels == self.num_classes
        if isinstance(factors, float):
            return label_weights if factors == 1 else torch.where(negative, label_weights * factors, label_weights)
        rows = (negative & (label_weights > 0)).nonzero().squeeze(1)  # in the order of the sampled negatives
        return label_weights.index_put((rows,), label_weights[rows] * factors)

    def loss_single(self, *args: Any, img_metas: Sequence[dict] | None = None, **kwargs: Any) -> tuple:
        """Losses of one level; see :meth:`AnchorHead.loss_single`. ``img_metas`` are those of the batch."""
        given = inspect.signature(super().loss_single).bind(*args, **kwargs)
        if img_metas:
            given.arguments.update(self._believed(given.arguments, img_metas))
        return super().loss_single(*given.args, **given.kwargs)

    def _believed(self, given: Mapping[str, Any], img_metas: Sequence[dict]) -> dict[str, Tensor]:
        """``cls_score`` (N, A * C, H, W) and ``label_weights`` (N, H * W * A) as the images' directives say."""
        scores, labels, weights = (given[name] for name in ('cls_score', 'labels', 'label_weights'))
        num, channels, height, width = scores.shape
        rows = scores.permute(0, 2, 3, 1).reshape(-1, self.cls_out_channels)
        believed, new_weights = believable_negatives(
            rows,
            labels.reshape(-1),
            weights.reshape(-1),
            torch.arange(num, device=rows.device).repeat_interleave(labels.size(1)),
            img_metas,
            heads=self.obeyed_heads,
            num_classes=self.num_classes,
            softmax=not self.use_sigmoid_cls,
            class_wise=self.reads_classes,
            iteration=self.training_iteration,
        )
        if believed is not rows:
            scores = believed.reshape(num, height, width, channels).permute(0, 3, 1, 2)
        return dict(cls_score=scores, label_weights=new_weights.reshape(weights.shape))

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


def hands_img_metas_on(head: type) -> bool:
    """Whether the class whose ``loss`` a head has gives ``img_metas`` to ``loss_single``, as ``AnchorHead`` does."""
    owner = next((cls for cls in head.__mro__ if 'loss' in vars(cls)), head)
    return vars(owner).get('hands_img_metas_on', False)


@HEADS.register_module()
class RPNHeadWithWeightPerImage(HeadWithWeightPerImage, RPNHead):
    """``RPNHead`` with the loss weight of each image; arguments, parameters and checkpoint keys are the same."""
