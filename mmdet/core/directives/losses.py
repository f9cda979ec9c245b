"""What directives change in the classification loss of a head once its scores are known."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmdet.core.directives.classes import background_or_any, restricts_classes, unlabelled_mask, without_classes
from mmdet.core.directives.negatives import negative_policy, score_thresholds


def believable_negatives(
    logits: Tensor,
    labels: Tensor,
    label_weights: Tensor,
    images: Tensor,
    img_metas: Sequence[dict] | None,
    *,
    heads: Sequence[str],
    num_classes: int,
    softmax: bool,
    class_wise: bool = True,
    iteration: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Logits and label weights that let negatives teach only what the images' directives say they can.

    * A negative of an image whose policy is ``'recalibrate'`` has weight 0 where it scores as an object.
    * A negative of an image with unlabelled classes is evidence against the labelled ones alone. With a softmax its
      target is background or any unlabelled class; with sigmoids those have no part in its loss.

    Args:
        logits: (n, C), C = K + 1 with background last, or K.
        labels: (n,) in ``[0, K]``; K is background.
        label_weights: (n,).
        images: (n,) number of the image that each row is of.
        img_metas: of N images; None: there are no directives.
        heads: whose directives count, the first that an image has.
        num_classes: K.
        softmax: whether the scores are a softmax, else sigmoids.
        class_wise: False for a head that only tells objects from background; classes have no effect there.
        iteration: of the training.

    Returns:
        The two, the same objects where nothing changes. Divisors that count rows do not change.
    """
    if not img_metas:
        return logits, label_weights
    thresholds = score_thresholds(img_metas, heads, iteration)
    unlabelled = unlabelled_mask(img_metas, num_classes, logits.device) if class_wise else None
    negative = labels == num_classes
    if thresholds is not None:
        limits = torch.tensor(thresholds, dtype=logits.dtype).to(logits.device, non_blocking=True)[images]
        doubtful = negative & (object_scores(logits, num_classes, softmax) > limits)
        label_weights = label_weights.masked_fill(doubtful, 0.0)
    if unlabelled is not None:
        if softmax and logits.size(1) != num_classes + 1:
            raise ValueError(
                f'classes that are not annotated need one score for each class and one for background, '
                f'{num_classes + 1} in all; this loss has {logits.size(1)}'
            )
        logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits  # a sum of small parts
        classes = unlabelled[images] & negative[:, None]
        merged = background_or_any(logits, classes) if softmax else without_classes(logits, classes)
        logits = torch.where(negative[:, None], merged, logits)  # positives: bit for bit as they were
    return logits, label_weights


def needs_scores(img_meta: dict | None, heads: Sequence[str], class_wise: bool) -> bool:
    """Whether :func:`believable_negatives` has something to do for this image, sooner or later."""
    return negative_policy(img_meta, heads).kind == 'recalibrate' or (class_wise and restricts_classes(img_meta))


@torch.no_grad()
def object_scores(logits: Tensor, num_classes: int, softmax: bool) -> Tensor:
    """(n, C) logits -> (n,) in [0, 1]: the best score of an object's class."""
    scores = logits.softmax(1) if softmax else logits.sigmoid()
    return scores[:, :num_classes].amax(1)
