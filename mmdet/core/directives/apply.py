"""What directives do: one call for the targets of a head, one for its class scores.

N images, R rows (anchors, points, RoIs, queries), K classes, label K being background. ``directives`` may be None in
both calls: then what they are given comes back, the very same objects.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mmdet.core.directives.batch import BatchDirectives
from mmdet.core.directives.classes import background_or_any, to_device, without_classes
from mmdet.core.directives.negatives import Policy, overlap_weights
from mmdet.core.targets import Targets

CANNOT_TELL = (
    'gt_weights: this head cannot tell which object a row of its losses belongs to, so that single objects cannot '
    'weigh in it; leave gt_weights out (with_weight of LoadAnnotations, weight and box_loss of the teacher)'
)


def weigh(
    targets: Targets,
    image_of_row: Tensor,
    directives: BatchDirectives | None,
    overlaps: Callable[[int], Tensor] | None = None,
    objects: Callable[[], Tensor] | None = None,
) -> Targets:
    """Targets whose weights are multiplied by their image's loss weight, those of negatives by its policy as well.

    Divisors of losses must not depend on these weights: then weight w of an image makes exactly w times its loss and
    gradient, and the other images' stay as they were.

    Args:
        targets: labels (..., R), label weights (..., R) or (..., R, C), box targets and box weights (..., R, D).
        image_of_row: number of each row's image, such as (N, 1) against labels (N, R); -1: the row only fills up.
        directives: of the batch.
        overlaps: gives, for the number of an image, the greatest IoU of each of its rows with an object, (r,) in the
            order of its rows; asked for only where a policy looks at overlaps. None: the head cannot tell.
        objects: gives the number, in its image, of the object of each row, shaped like the labels; read where the row
            is a positive, and only where objects have weights of their own. None: the head cannot tell.

    Raises:
        ValueError: a policy looks at overlaps, or objects have weights, which the head cannot tell.
    """
    if directives is None:
        return targets
    label_weights, bbox_weights = targets.label_weights, targets.bbox_weights
    factors = _negative_factors(directives.negatives, targets.labels, image_of_row, overlaps)
    if factors is not None:
        negative = targets.labels == directives.num_classes
        label_weights = label_weights * _like(torch.where(negative, factors, 1.0), label_weights)
    if directives.weighted:
        # by indexing, not by repeating: the gradient with respect to the weights, which the log by source asks for,
        # adds up over an image's rows
        of_row = directives.loss_weights[image_of_row]
        label_weights = label_weights * _like(of_row.expand_as(targets.labels), label_weights)
        bbox_weights = bbox_weights * _like(of_row.expand_as(targets.labels), bbox_weights)
    if directives.object_weights is not None:
        of_class, of_box = _object_factors(directives, targets.labels, image_of_row, objects)
        label_weights = label_weights * _like(of_class, label_weights)
        bbox_weights = bbox_weights * _like(of_box, bbox_weights)
    if factors is not None or directives.weighted or directives.object_weights is not None:
        targets = targets._replace(label_weights=label_weights, bbox_weights=bbox_weights)
    if directives.record is not None:  # here alone the log by source sees what the targets have become
        directives.record.note_targets(targets, image_of_row, directives)
    return targets


def row_weights(
    image_of_row: Tensor, directives: BatchDirectives | None, objects: Tensor | None = None
) -> Tensor | None:
    """(R,) loss weight of each row's image and object, for losses that are means over rows; None: all are 1.

    ``objects`` (R,) are the numbers of the rows' objects in their images; None: the head cannot tell.

    Raises:
        ValueError: objects have weights, which the head cannot tell.
    """
    if directives is None or not (directives.weighted or directives.object_weights is not None):
        return None
    weights = directives.loss_weights[image_of_row]
    if directives.object_weights is None:
        return weights
    if objects is None:
        raise ValueError(CANNOT_TELL)
    return weights * directives.object_weights[image_of_row, objects, 1]


def mask_negatives(
    logits: Tensor, labels: Tensor, label_weights: Tensor, image_of_row: Tensor, directives: BatchDirectives | None
) -> tuple[Tensor, Tensor]:
    """Logits and label weights that let negatives be evidence only of what their images' directives say they can.

    * A negative of an image whose policy is ``'recalibrate'`` has weight 0 where it scores as an object.
    * A negative of an image with unlabelled classes is evidence against the labelled ones alone. With a softmax its
      target is background or any unlabelled class; with sigmoids those have no part in its loss.

    Args:
        logits: (R, C), C = K + 1 with background last, or K.
        labels: (R,) in [0, K].
        label_weights: (R,).
        image_of_row: (R,) number of each row's image.
        directives: of the batch.

    Returns:
        The two, the same objects where nothing changes. Divisors that count rows do not change.

    Raises:
        ValueError: classes are not annotated, but a softmax has not one score for each class and one for background.
    """
    if directives is None or not directives.masks_scores:
        return logits, label_weights
    num_classes, negative = directives.num_classes, labels == directives.num_classes
    thresholds = [policy.score_thr if policy.kind == 'recalibrate' else 1.0 for policy in directives.negatives]
    if min(thresholds, default=1.0) < 1:
        limits = to_device(thresholds, torch.float32, logits.device)[image_of_row]
        doubtful = negative & (object_scores(logits, num_classes, directives.softmax) > limits)
        label_weights = label_weights.masked_fill(doubtful, 0.0)
    if directives.unlabeled is not None:
        logits = _without_unlabelled(logits, directives.unlabeled[image_of_row], negative, directives)
    return logits, label_weights


def _without_unlabelled(logits: Tensor, classes: Tensor, negative: Tensor, directives: BatchDirectives) -> Tensor:
    """Logits (R, C) in which negatives (R,) say nothing of the unlabelled ``classes`` (R, K) of their images."""
    if directives.softmax and logits.size(1) != directives.num_classes + 1:
        raise ValueError(
            'classes that are not annotated need one score for each class and one for background, '
            f'{directives.num_classes + 1} in all; this loss has {logits.size(1)}'
        )
    # merging adds up small probabilities, which half precision would round away
    logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
    classes = classes & negative[:, None]
    masked = background_or_any(logits, classes) if directives.softmax else without_classes(logits, classes)
    return torch.where(negative[:, None], masked, logits)  # positives: bit for bit as they were


@torch.no_grad()
def object_scores(logits: Tensor, num_classes: int, softmax: bool) -> Tensor:
    """(R, C) logits -> (R,) in [0, 1]: the best score of an object's class."""
    scores = logits.softmax(1) if softmax else logits.sigmoid()
    return scores[:, :num_classes].amax(1)


def _object_factors(
    directives: BatchDirectives, labels: Tensor, image_of_row: Tensor, objects: Callable[[], Tensor] | None
) -> tuple[Tensor, Tensor]:
    """Factors of the rows' label and box weights by the object of each, shaped like ``labels``; 1 of negatives."""
    if objects is None or directives.object_weights is None:
        raise ValueError(CANNOT_TELL)
    numbers = objects().clamp(0, directives.object_weights.size(1) - 1)
    weights = directives.object_weights[image_of_row.expand_as(labels), numbers]
    positive = (labels >= 0) & (labels < directives.num_classes)
    of_class, of_box = torch.where(positive[..., None], weights, 1.0).unbind(-1)
    return of_class, of_box


def _negative_factors(
    policies: Sequence[Policy], labels: Tensor, image_of_row: Tensor, overlaps: Callable[[int], Tensor] | None
) -> Tensor | None:
    """Factors of each row's label weight, were it a negative, shaped like ``labels``; None: all are 1."""
    plain = [policy.factor for policy in policies]
    by_overlap = [i for i, policy in enumerate(policies) if policy.kind == 'overlap']
    if not by_overlap and all(factor == 1 for factor in plain):
        return None
    images = image_of_row.expand_as(labels)
    factors = to_device(plain, torch.float32, labels.device)[images]
    for i in by_overlap:  # overlaps of a batch at once would need too much memory
        policy = policies[i]
        if overlaps is None:
            raise ValueError("this head has no policy of negatives that looks at overlaps; use 'soft'")
        weights = overlap_weights(overlaps(i), policy.floor, policy.steepness, policy.rate)
        factors = factors.masked_scatter(images == i, (weights * policy.scale).to(factors))
    return factors


def _like(rows: Tensor, weights: Tensor) -> Tensor:
    """``rows`` (..., R) with as many dimensions as ``weights`` (..., R, ...), behind."""
    return rows.reshape(*rows.shape, *[1] * (weights.ndim - rows.ndim))
