"""The directives of a batch as tensors: read once, then applied to targets and scores (``apply.py``).

Legend: N images, R rows (anchors, points, RoIs, queries, masks), K classes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from mmdet.core.directives.classes import restricts_classes, to_device, unlabelled_mask
from mmdet.core.directives.keys import (
    BBOX_HEAD,
    GLBCTX_HEAD,
    HEADS_WITH_NEGATIVES,
    IGNORE_NEGATIVES,
    ROI_HEAD,
    RPN_HEAD,
    SEMANTIC_HEAD,
    WEIGHTED_HEADS,
)
from mmdet.core.directives.negatives import Policy, negative_policy
from mmdet.core.directives.weights import loss_weight, object_weights
from mmdet.core.targets import Targets
from mmdet.utils.registry import did_you_mean


class Recorder(Protocol):
    """What is told of the loss weights that enter a step's losses, and of the targets that they weighed."""

    def note_weights(self, loss_weights: Tensor, img_metas: Sequence[Mapping[str, Any]]) -> None:
        """Loss weights (N,), a leaf of the graph, of N images were read."""

    def note_targets(self, targets: Targets, image_of_row: Tensor, directives: 'BatchDirectives') -> None:
        """Targets were weighed."""


class BatchDirectives(NamedTuple):
    """What N images say to one head."""

    loss_weights: Tensor  # (N,) float; a leaf of the graph while losses are logged by source
    negatives: tuple[Policy, ...]  # N policies
    unlabeled: Tensor | None  # (N, K) bool, the classes that are not annotated; None: all are, in all images
    num_classes: int  # K, the label of background
    softmax: bool  # whether class scores are a softmax with background last, else sigmoids
    weighted: bool  # whether a loss weight is to be multiplied in; False: all of them are 1
    record: Recorder | None = None
    object_weights: Tensor | None = None  # (N, G, 2), in classification and in other losses; None: all are 1

    @property
    def masks_scores(self) -> bool:
        """Whether :func:`mask_negatives` has something to do."""
        return self.unlabeled is not None or any(policy.kind == 'recalibrate' for policy in self.negatives)


class HeadDirectives:
    """Which directives one head reads, and whether it does; one object a head, see ``mmdet.models.directives``.

    Args:
        names: heads whose keys count; the first that an image has.
        enabled: whether the images' directives change this head's losses.
        has_sampler: False for a head that takes all its rows, so that it reads ``ignore_negatives`` itself.
        ignores: whether its sampler reads ``ignore_negatives``, where it has one.

    Attributes:
        iteration: of the training, for policies with a warm-up; None: not known.
        record: told of weights and targets; while it is set, the loss weights are leaves of the graph.
        weighed, masked: whether targets, and class scores, have met the directives since they were set to False.
    """

    def __init__(
        self, names: Sequence[str], enabled: bool = False, has_sampler: bool = True, ignores: bool = False
    ) -> None:
        self.names = tuple(check_head_name(name) for name in names)
        self.enabled = enabled
        self.has_sampler = has_sampler
        self.ignores = ignores
        self.iteration: int | None = None
        self.record: Recorder | None = None
        self.weighed = self.masked = False

    @property
    def has_negatives(self) -> bool:
        """Whether the head's loss has terms of negatives."""
        return self.names[0] in HEADS_WITH_NEGATIVES

    @property
    def class_wise(self) -> bool:
        """Whether it reads which classes are annotated; a first stage only tells objects from background."""
        return self.has_negatives and self.names[0] != RPN_HEAD

    @property
    def has_objects(self) -> bool:
        """Whether its losses are over objects, so that these can weigh; a semantic map and a whole image have none."""
        return self.names[0] not in (SEMANTIC_HEAD, GLBCTX_HEAD)

    def read(
        self,
        img_metas: Sequence[Mapping[str, Any]] | None,
        num_classes: int,
        softmax: bool,
        device: torch.device,
        sampled: bool | None = None,
        for_weights: bool = True,
    ) -> BatchDirectives | None:
        """The directives of a batch; None: nothing is to be weighed, masked or recorded.

        Weights of single objects count whether the head is enabled or not: they are a part of the ground truth.

        Args:
            img_metas: of N images; None or empty: there are no directives.
            num_classes: K.
            softmax: kind of the class scores.
            device: of the tensors; nothing waits for the copies.
            sampled: whether a sampler has left out the negatives that are to be ignored; None: ``has_sampler``.
            for_weights: whether loss weights will enter a loss, so that they are recorded.

        Raises:
            ValueError: a directive has a value that it cannot have.
            RuntimeError: a policy needs the iteration, which nobody told this head.
        """
        record = self.record if for_weights else None
        of_objects = object_weights(img_metas, device) if for_weights and self.has_objects else None
        if not img_metas or not (self.enabled or record or of_objects is not None):
            return None
        metas = img_metas if self.enabled else [{}] * len(img_metas)
        weights = [loss_weight(meta, self.names) for meta in metas]
        sampled = self.has_sampler if sampled is None else sampled
        policies = (Policy(),) * len(metas)
        if self.has_negatives:
            policies = tuple(self._policy(meta, sampled) for meta in metas)
        unlabeled = unlabelled_mask(metas, num_classes, device) if self.class_wise else None
        weighted = record is not None or any(weight != 1 for weight in weights)
        loss_weights = to_device(weights, torch.float32, device)
        if record is not None:
            record.note_weights(loss_weights.requires_grad_(), img_metas)
        return BatchDirectives(loss_weights, policies, unlabeled, num_classes, softmax, weighted, record, of_objects)

    def _policy(self, img_meta: Mapping[str, Any], sampled: bool) -> Policy:
        if not sampled and img_meta.get(IGNORE_NEGATIVES, 0) == 1:
            return Policy('none')
        return negative_policy(img_meta, self.names).at(self.iteration)

    def needs_scores(self, img_meta: Mapping[str, Any]) -> bool:
        """Whether :func:`mask_negatives` has something to do for this image, sooner or later."""
        if not self.has_negatives:
            return False
        recalibrates = negative_policy(img_meta, self.names).kind == 'recalibrate'
        return recalibrates or (self.class_wise and restricts_classes(img_meta))


def check_head_name(name: str) -> str:
    """``name`` itself.

    Raises:
        ValueError: no directive is for a head of that name.
    """
    if name not in WEIGHTED_HEADS:
        raise ValueError(
            f'directive_head: there are no directives of {name!r}{did_you_mean(name, WEIGHTED_HEADS)} '
            f'Known: {", ".join(WEIGHTED_HEADS)}'
        )
    return name


# A two-stage detector without masks, whose samplers read ``ignore_negatives``.
TWO_STAGES: Mapping[str, HeadDirectives] = {
    RPN_HEAD: HeadDirectives((RPN_HEAD,), enabled=True, ignores=True),
    BBOX_HEAD: HeadDirectives((BBOX_HEAD, ROI_HEAD), enabled=True, ignores=True),
}
