"""What directives say to heads with one score for "an object" and scores of the classes of objects (YOLO)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmdet.core.img_meta import ImgMeta
from mmdet.models.directives import mask_scores, read_directives


def mask_objectness(
    head: nn.Module,
    objectness: Tensor,
    class_scores: Tensor,
    labels: Tensor,
    label_weights: Tensor,
    image_of_row: Tensor,
    img_metas: Sequence[ImgMeta] | None,
) -> Tensor:
    """Label weights (R,) of the objectness, so that negatives say no more than they may.

    A negative says of its row that there is no object, of whatever class. In an image with unlabelled classes it has no
    part in the loss where one of these is the class that scores highest, as it could be an object of that class.

    Args:
        head: whose directives count.
        objectness: (R,) logits.
        class_scores: (R, K) logits.
        labels: (R,) in [0, K], K for negatives.
        label_weights: (R,).
        image_of_row: (R,).
        img_metas: meta information of the N images.

    Returns:
        the same tensor where the images say nothing.
    """
    _, weights = mask_scores(
        head, objectness[:, None], labels, label_weights, image_of_row, img_metas, class_wise=False
    )
    found = read_directives(head, img_metas, objectness.device, for_weights=False)
    if found is None or found.unlabeled is None:
        return weights
    best = class_scores.detach().argmax(dim=1)
    return weights.masked_fill((labels == class_scores.size(1)) & found.unlabeled[image_of_row, best], 0.0)


def image_numbers(labels: Tensor) -> Tensor:
    """(N, R) -> (N * R,) number of each row's image."""
    return torch.arange(len(labels), device=labels.device)[:, None].expand_as(labels).flatten()
