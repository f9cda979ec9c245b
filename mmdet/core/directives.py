"""The per-image training directives: the only place that knows the keys of ``img_metas`` which carry them.

A directive is a plain value in an image's ``img_metas``. ``AddFieldToImgMetas`` puts it there; heads and samplers ask
this module and never spell a key themselves.

======================== ============================================== =========================================
key                      value                                          effect
======================== ============================================== =========================================
``<head>.loss_weight``   finite number >= 0; absent means 1             the image's targets weigh so much in the
                                                                        losses of that head
``ignore_negatives``     1, True or 1.0 switch it on; 0, False or None  no negative of the image is sampled
                         leave it off; absent means off
``labeled_classes``      names of classes; absent means all             only these are annotated in the image
======================== ============================================== =========================================
"""

import math
from numbers import Real
from typing import Any, NamedTuple

from torch import Tensor

from mmdet.utils.registry import did_you_mean, nearest

RPN_HEAD = 'rpn_head'
ROI_HEAD = 'roi_head'
BBOX_HEAD = 'bbox_head'
# only heads that obey a weight: a key that nothing reads must be an error, not a silent wish
WEIGHTED_HEADS = (RPN_HEAD, ROI_HEAD, BBOX_HEAD)

IGNORE_NEGATIVES = 'ignore_negatives'
LABELED_CLASSES = 'labeled_classes'


def loss_weight_key(head: str) -> str:
    """``'rpn_head'`` -> ``'rpn_head.loss_weight'``; the dot is part of the flat key."""
    return f'{head}.loss_weight'


KNOWN_DIRECTIVES = tuple(loss_weight_key(head) for head in WEIGHTED_HEADS) + (IGNORE_NEGATIVES,)


class Directives(NamedTuple):
    """The directives of one image, as tables and logs show them."""

    loss_weights: dict[str, float]  # head -> weight, only those that are set
    ignore_negatives: bool


def loss_weight(img_meta: dict | None, head: str, fallback: str | None = None) -> float:
    """Weight of one image in the losses of ``head``.

    Args:
        img_meta: meta information of one image; None or an empty dict means no directive.
        head: ``'rpn_head'``, ``'roi_head'`` or ``'bbox_head'``.
        fallback: head whose weight applies where ``head`` has none of its own.

    Returns:
        Finite and >= 0; 1.0 where nothing is set.

    Raises:
        ValueError: the value is negative, not finite or not a number.
    """
    for name in (head, fallback):
        key = loss_weight_key(name) if name else None
        if key and img_meta and key in img_meta:
            return check_loss_weight(key, img_meta[key])
    return 1.0


def ignores_negatives(img_meta: dict | None) -> bool:
    """Whether no negative of this image may be sampled: its value equals 1 (so True and 1.0 as well)."""
    return bool(img_meta) and img_meta.get(IGNORE_NEGATIVES, 0) == 1


def scale_weights(label_weights: Tensor, bbox_weights: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """Label weights (n,) and box weights (n, 4), times the image's weight; weight 1 gives the same objects back."""
    if weight == 1:
        return label_weights, bbox_weights
    return label_weights * weight, bbox_weights * weight


def read_directives(img_meta: dict) -> Directives:
    """All directives of one image.

    Raises:
        ValueError: a directive has an impossible value.
    """
    weights = {head: loss_weight(img_meta, head) for head in WEIGHTED_HEADS if loss_weight_key(head) in img_meta}
    return Directives(weights, ignores_negatives(img_meta))


def check_directive(key: str, value: Any) -> None:
    """Check one key and value meant for ``img_metas``; fields that are no directives pass.

    Raises:
        ValueError: a directive with a value that it cannot have, or a name that nearly is a directive's.
    """
    if key in KNOWN_DIRECTIVES:
        check_ignore_negatives(value) if key == IGNORE_NEGATIVES else check_loss_weight(key, value)
    elif key.endswith('.loss_weight') or nearest(key, KNOWN_DIRECTIVES, 1):
        raise ValueError(
            f'{key!r} looks like a training directive but is none{did_you_mean(key, KNOWN_DIRECTIVES)} '
            f'Known: {", ".join(KNOWN_DIRECTIVES)}'
        )


def check_loss_weight(key: str, value: Any) -> float:
    """``value`` as a float.

    Raises:
        ValueError: it is no number (a bool counts as none), not finite or negative.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value) or value < 0:
        raise ValueError(f'{key}: expected a finite number >= 0, got {value!r}')
    return float(value)


def check_ignore_negatives(value: Any) -> None:
    """Check the value of ``ignore_negatives``.

    Raises:
        ValueError: it is neither of 0, 1, False, True and None.
    """
    known = value is None or (isinstance(value, Real) and value in (0, 1))
    if not known:
        raise ValueError(f'{IGNORE_NEGATIVES}: expected 1 (no negative is sampled) or 0 (all count), got {value!r}')
