"""Test-time augmentation as an option: the test pipeline of a config with more scales, and flipped."""

import copy
import math
from collections.abc import Sequence
from typing import Any

from mmdet.utils.errors import ReportedError


class AugmentationError(ReportedError, ValueError):
    """A pipeline that has no place for test-time augmentation, or scales that are none."""


def with_augmentation(steps: Sequence[dict[str, Any]], scales: Sequence[float] = (1.0,)) -> list[dict[str, Any]]:
    """A copy of a test pipeline that shows each image as it is and flipped, at several scales.

    Args:
        steps: with a ``MultiScaleFlipAug``; the directions of its flips stay.
        scales: factors on each of its scales.

    Raises:
        AugmentationError: there is no such step, or a factor is not positive and finite.
    """
    changed: list[dict[str, Any]] = copy.deepcopy(list(steps))
    found = [step for step in changed if step['type'] == 'MultiScaleFlipAug']
    if not found or not scales or not all(0 < scale < math.inf for scale in scales):
        raise AugmentationError(
            'test-time augmentation needs a MultiScaleFlipAug in the test pipeline, and positive factors of scale; '
            f'got the steps {", ".join(step["type"] for step in steps)} and the factors {list(scales)}'
        )
    for step in found:
        key = 'img_scale' if step.get('img_scale') is not None else 'scale_factor'
        given = step[key] if isinstance(step[key], list) else [step[key]]
        step[key] = [_scaled(scale, factor) for scale in given for factor in scales]
        step['flip'] = True
    return changed


def _scaled(scale: Any, factor: float) -> Any:
    """A (long, short) size in px or a factor, times ``factor``."""
    return tuple(round(side * factor) for side in scale) if isinstance(scale, (tuple, list)) else scale * factor
