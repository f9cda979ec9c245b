"""The base of the heads: what all of them call on their way from targets to losses."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets
from mmdet.core.utils.misc import names_parameter
from mmdet.models.directives import (
    directives_of,
    mask_scores,
    masks_scores,
    read_directives,
    weigh_targets,
    weights_of_rows,
)


class BaseHead(BaseModule):
    """A module with losses, or a part of one: what it calls to let images say how much they may teach.

    Targets pass through :meth:`weigh` (or :meth:`weigh_rows`), class scores through :meth:`scores_for_loss` (or
    :meth:`row_scores_for_loss`); a loss that has no targets takes :meth:`image_weights`.

    Args:
        init_cfg: initialisation of the weights, as mmcv's ``BaseModule`` takes it.
    """

    # whose keys of the images' meta information count; the fallback's, where an image has none of the first
    directive_head: str = 'bbox_head'
    directive_fallback: str | None = 'rpn_head'
    has_static_shapes = False  # whether its targets and losses can be made in static shapes

    # as :meth:`weigh` and :meth:`scores_for_loss`, of rows in any order
    weigh_rows = weigh_targets
    row_scores_for_loss = mask_scores
    masks_scores = masks_scores

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # a subclass may make its targets in another way: each class states for itself that it has static shapes
        cls.has_static_shapes = vars(cls).get('has_static_shapes', False)

    def serve_as_first_stage(self) -> None:
        """Read the keys of a first stage, whatever slot the class is made for."""
        directives_of(self).names = ('rpn_head',)

    def follow_iter(self, iteration: int) -> None:
        """Say how far the training is; policies of negatives with a warm-up ask for it."""
        directives_of(self).iteration = iteration

    def weigh(
        self,
        targets: Targets,
        img_metas: Sequence[ImgMeta] | None,
        overlaps: Callable[[int], Tensor] | None = None,
        sampled: bool | None = None,
        objects: Callable[[], Tensor] | None = None,
    ) -> Targets:
        """Targets (N, R, ...) of a batch, weighed as its images say; the very same where they say nothing.

        Args:
            targets: of N images.
            img_metas: meta information of the N images.
            overlaps: gives the greatest IoU (R,) of the rows of an image, whose number it gets, with an object.
            sampled: whether a sampler has left out negatives that are to be ignored; None: as the head has it.
            objects: gives the number of the object of each row in its image, (N, R), read of positives; None: the head
                cannot tell, so that weights of single objects are refused.
        """
        images = torch.arange(len(targets.labels), device=targets.labels.device)[:, None]
        return self.weigh_rows(targets, images, img_metas, overlaps, sampled, objects)

    def image_weights(
        self,
        img_metas: Sequence[ImgMeta],
        device: torch.device,
        counts: Sequence[int] | None = None,
        objects: Tensor | None = None,
    ) -> Tensor | None:
        """Loss weights for losses that are not over targets; None: all are 1.

        They are (N,), or (sum of ``counts``,) for ``counts[i]`` rows of image i, image after image, whose objects have
        the numbers ``objects``.
        """
        return weights_of_rows(self, img_metas, counts or [1] * len(img_metas), device, objects)

    def cls_avg_factor(self, label_weights: Tensor) -> Tensor:
        """Divisor of a classification loss over (n,) sampled rows, at least 1: those with a weight > 0, or all of them.

        All count where images or objects weigh, as a weight of 0 must not take rows out of the divisor.
        """
        if directives_of(self).enabled or directives_of(self).with_objects:
            return label_weights.new_full((), max(label_weights.numel(), 1))
        return (label_weights > 0).sum().clamp(min=1).to(label_weights)

    def scores_for_loss(
        self,
        scores: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        img_metas: Sequence[ImgMeta] | None,
        class_wise: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Class scores and label weights as the classification loss takes them: negatives say no more than they may.

        A ``loss`` calls this once it has its targets; where the images say nothing, it gets back what it gave.

        Args:
            scores: (N, r, C) logits.
            labels: (N, r) in [0, K], K for background.
            label_weights: (N, r).
            img_metas: meta information of the N images.
            class_wise: whether the labels are those of classes, or only tell objects from background.
        """
        images = torch.arange(len(scores), device=scores.device)[:, None].expand_as(labels).flatten()
        rows = scores.flatten(0, 1), labels.flatten(), label_weights.flatten()
        masked, weights = self.row_scores_for_loss(*rows, images, img_metas, class_wise)
        return masked.view_as(scores), weights.view_as(label_weights)

    def objectness_weights(
        self, scores: Tensor, labels: Tensor, label_weights: Tensor, img_metas: Sequence[ImgMeta] | None
    ) -> tuple[Tensor, Tensor | None]:
        """Label weights (N, R) of scores that only tell objects from background, and what is not annotated.

        The latter are (N, K) bool, the classes of which a negative says nothing, or None: all classes are annotated in
        all images. How they enter the loss is up to the head.

        Args:
            scores: (N, R, C) logits.
            labels: (N, R) in [0, K], K for background.
            label_weights: (N, R); the very same come back where the images say nothing.
            img_metas: meta information of the N images.
        """
        if not self.masks_scores(img_metas, scores.device):
            return label_weights, None
        _, weights = self.scores_for_loss(scores, labels, label_weights, img_metas, class_wise=False)
        found = read_directives(self, img_metas, scores.device, for_weights=False)
        return weights, None if found is None else found.unlabeled


def loss_of_rows(head: nn.Module, rows: Sequence[Any], img_metas: Sequence[ImgMeta] | None, *args: Any) -> Any:
    """``head.loss(*args)``, with a weight for each row where its image, or its object, has one.

    Args:
        head: whose loss is computed. ``loss(..., weights=None)`` multiplies its rows by (R,) ``weights`` and keeps its
            divisor; a head whose loss takes no such argument has no weights.
        rows: of each of N images the sampling result, whose positives are the rows, R in all; or the number of its
            rows, which are not of single objects. They stand image after image.
        img_metas: meta information of the N images; None: there is none.
        args: of ``loss``; the first tensor among them tells the device.

    Raises:
        TypeError: the head is to weigh its images, but its loss takes no weights.
    """
    loss: Any = head.loss
    if getattr(head, 'directive_head', None) is None:
        return loss(*args)
    device = next(arg.device for arg in args if isinstance(arg, Tensor))
    weights = weights_of_rows(head, img_metas, *_counts_and_objects(rows, device))
    if weights is None:
        return loss(*args)
    if names_parameter(loss, 'weights'):
        return loss(*args, weights=weights)
    if directives_of(head).enabled:
        raise TypeError(
            f'{type(head).__name__}.loss takes no weights, so that images cannot be weighed. Let it be '
            'loss(..., weights=None) and multiply its rows by them; its divisor must not depend on them'
        )
    return loss(*args)


def weights_of_either(
    heads: Sequence[nn.Module], img_metas: Sequence[ImgMeta] | None, results: Sequence[Any], device: torch.device
) -> Tensor | None:
    """(R,) weights of the positives as the first of the heads reads them that weighs its images, else the last.

    ``results`` are the sampling results of the N images; None: all are 1.
    """
    head = next((head for head in heads if directives_of(head).enabled), heads[-1])
    return weights_of_rows(head, img_metas, *_counts_and_objects(results, device))


def _counts_and_objects(rows: Sequence[Any], device: torch.device) -> tuple[Sequence[int], torch.device, Tensor | None]:
    """Arguments of ``weights_of_rows``: rows of each image, device, and (R,) numbers of their objects."""
    if all(isinstance(count, int) for count in rows):
        return rows, device, None
    objects = torch.cat([result.pos_assigned_gt_inds for result in rows])
    return [len(result.pos_assigned_gt_inds) for result in rows], device, objects
