"""Weights for heads with one score for "an object" and scores of the classes of objects (YOLO)."""

from collections.abc import Sequence

from torch import Tensor

from mmdet.core.img_meta import ImgMeta
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead


def mask_objectness(
    head: BaseDenseHead,
    objectness: Tensor,
    class_scores: Tensor,
    labels: Tensor,
    label_weights: Tensor,
    img_metas: Sequence[ImgMeta] | None,
) -> Tensor:
    """Label weights (N, R) of the objectness, so that negatives say no more than they may.

    A negative says of its row that there is no object, of whatever class. In an image with unlabelled classes it has no
    part in the loss where one of these is the class that scores highest, as it could be an object of that class.

    Args:
        head: weighs the negatives.
        objectness: (N, R) logits.
        class_scores: (N, R, K) logits.
        labels: (N, R) in [0, K], K for negatives.
        label_weights: (N, R).
        img_metas: meta information of the N images.

    Returns:
        the same tensor where the images say nothing.
    """
    weights, unlabeled = head.objectness_weights(objectness[..., None], labels, label_weights, img_metas)
    if unlabeled is None:
        return weights
    best = class_scores.detach().argmax(dim=-1)
    return weights.masked_fill((labels == class_scores.size(-1)) & unlabeled.gather(1, best), 0.0)
