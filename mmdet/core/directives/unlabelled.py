"""Images that nobody has annotated, in terms of the training directives."""

from collections.abc import Sequence
from typing import Any

from mmdet.core.directives import IGNORE_NEGATIVES, ROI_HEAD, RPN_HEAD, loss_weight_key


def unlabelled_directives(heads: Sequence[str] = (RPN_HEAD, ROI_HEAD)) -> dict[str, Any]:
    """The directives of an image without annotations: none of its negatives is sampled, and no head learns from it.

    Args:
        heads: names of heads with a weight for each image.
    """
    return {IGNORE_NEGATIVES: 1, **{loss_weight_key(head): 0.0 for head in heads}}
