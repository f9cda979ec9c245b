"""What becomes of the per-image training directives when several images are merged into one.

* A merged image ignores its negatives if any visible part does: a region that was not annotated is never trained as
  background. The price is that the other parts' background is not trained either, in that one image.
* A head's loss weight is that of the parts if they agree, else the mean over the parts, each counting by the area that
  is seen of it. The mean is linear in every part's weight: none is lost, and the merged weight lies between the
  smallest and the largest.
* A weight of the negatives is the smallest one of the parts, so that no part's background counts more than it should.
* Classes that were annotated are those that were annotated in every part that says so.
* A teacher completes the labels of the whole if it does so for any part.
* A directive or other field that has no rule here must be equal in all visible parts, else merging is an error.

A part of which nothing is seen (area 0) has no say.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mmdet.core.directives import (
    CLASS_KEYS,
    COMPLETE,
    HEADS_WITH_NEGATIVES,
    IGNORE_NEGATIVES,
    LABELED_CLASSES,
    PSEUDO_LABELS,
    ROI_HEAD,
    RPN_HEAD,
    WEIGHTED_HEADS,
    check_directive,
    check_one_class_key,
    ignores_negatives,
    loss_weight,
    loss_weight_key,
    negative_weight_key,
)

# head -> the head whose weight applies where it has none of its own, as the heads of a RoI head read them
FALLBACKS = {head: ROI_HEAD for head in WEIGHTED_HEADS if head not in (RPN_HEAD, ROI_HEAD)}
HEAD_OF_KEY = {loss_weight_key(head): head for head in WEIGHTED_HEADS}
NEGATIVE_WEIGHTS = tuple(map(negative_weight_key, HEADS_WITH_NEGATIVES))


def check_directives(directives: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of directives and other fields, key -> value, that are all possible.

    Raises:
        TypeError: no mapping.
        ValueError: a directive with a value that it cannot have, or a name that nearly is a directive's.
    """
    if not isinstance(directives, Mapping):
        raise TypeError(f'directives: expected a dict, key -> value, got {type(directives).__name__}: {directives!r}')
    for key, value in directives.items():
        check_directive(key, value)
    return dict(directives)


def merge_directives(parts: Sequence[Mapping[str, Any]], areas: Sequence[float]) -> dict[str, Any]:
    """The directives of an image that is made of several.

    Args:
        parts: directives of each image, key -> value; an absent key means what it means in ``img_metas``.
        areas: what is seen of each in the merged image, in any one unit (px²); finite, >= 0, not all 0.

    Returns:
        Directives of the merged image: every key that a visible part has, and no other.

    Raises:
        ValueError: not one area for each part, impossible areas or directives, or a directive without a rule that the
            parts do not agree on.
    """
    areas = _check_areas(parts, areas)
    seen = [(check_directives(part), area) for part, area in zip(parts, areas) if area > 0]
    visible, visible_areas = [part for part, _ in seen], [area for _, area in seen]
    keys = dict.fromkeys(key for part in visible for key in part)
    merged = {key: _merge_key(key, visible, visible_areas) for key in keys}
    check_one_class_key(merged)
    return merged


def _check_areas(parts: Sequence[Mapping[str, Any]], areas: Sequence[float]) -> list[float]:
    values = [float(area) for area in areas]
    possible = all(math.isfinite(area) and area >= 0 for area in values)
    if len(values) != len(parts) or not possible or not sum(values):
        raise ValueError(
            f'merge_directives: expected an area >= 0 for each of {len(parts)} parts, not all of them 0, got {values}'
        )
    return values


def _merge_key(key: str, parts: Sequence[Mapping[str, Any]], areas: Sequence[float]) -> Any:
    if key == IGNORE_NEGATIVES:
        return int(any(ignores_negatives(part) for part in parts))
    if key == PSEUDO_LABELS:
        return COMPLETE if any(part.get(key) == COMPLETE for part in parts) else None
    if key in HEAD_OF_KEY:
        head = HEAD_OF_KEY[key]
        heads = [name for name in (head, FALLBACKS.get(head)) if name]
        return mean_weight([loss_weight(part, heads) for part in parts], areas)
    if key in NEGATIVE_WEIGHTS:
        return min(part.get(key, 1.0) for part in parts)
    if key in CLASS_KEYS:
        given = [list(part[key]) for part in parts if key in part]
        everywhere = [entry for entry in given[0] if all(entry in classes for classes in given)]
        anywhere = list(dict.fromkeys(entry for classes in given for entry in classes))
        return everywhere if key == LABELED_CLASSES else anywhere
    values = [part.get(key) for part in parts]
    if any(value != values[0] for value in values):
        raise ValueError(f'{key}: images with the values {values} cannot be merged into one; give them one value')
    return values[0]


def mean_weight(weights: Sequence[float], areas: Sequence[float]) -> float:
    """Mean of weights, each counting by its area; equal weights give exactly that weight."""
    if all(weight == weights[0] for weight in weights):
        return weights[0]
    return math.fsum(weight * area for weight, area in zip(weights, areas)) / math.fsum(areas)
