"""Loss weights of images."""

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from mmdet.core.directives.keys import loss_weight_key


def loss_weight(img_meta: Mapping[str, Any] | None, heads: Sequence[str]) -> float:
    """Weight of one image in the losses of a head.

    Args:
        img_meta: meta information of one image; None or an empty dict means no directive.
        heads: the heads whose weight counts; the first that the image has.

    Returns:
        Finite and >= 0; 1.0 where nothing is set.

    Raises:
        TypeError: ``heads`` is one name.
        ValueError: the value is negative, not finite or not a number.
    """
    if isinstance(heads, str):
        raise TypeError(f'heads: expected a list of names, got {heads!r}')
    found = first_entry(img_meta, list(map(loss_weight_key, heads)))
    return 1.0 if found is None else check_loss_weight(*found)


def first_entry(img_meta: Mapping[str, Any] | None, keys: Sequence[str]) -> tuple[str, Any] | None:
    """The first of the keys that an image has, and its value; None: it has none of them."""
    return next(((key, img_meta[key]) for key in keys if key in img_meta), None) if img_meta else None


def check_loss_weight(key: str, value: Any) -> float:
    """``value`` as a float.

    Raises:
        ValueError: it is no number (a bool counts as none), not finite or negative.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value) or value < 0:
        raise ValueError(f'{key}: expected a finite number >= 0, got {value!r}')
    return float(value)
