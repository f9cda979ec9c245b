"""Strengths of augmentations given as levels from 0 to 10 (AutoAugment, https://arxiv.org/abs/1805.09501)."""

from collections.abc import Sequence

import numpy as np

MAX_LEVEL = 10


def level_to_value(level: float, max_value: float) -> float:
    """A level in [0, 10] as a value in [0, max_value]."""
    return (level / MAX_LEVEL) * max_value


def enhance_level_to_value(level: float, a: float = 1.8, b: float = 0.1) -> float:
    """A level in [0, 10] as a factor in [b, a + b]; level 5 is 1, no change, with the defaults."""
    return (level / MAX_LEVEL) * a + b


def random_negative(value: float, random_negative_prob: float) -> float:
    """``value``, or with that chance ``-value``."""
    return -value if np.random.rand() < random_negative_prob else value


def check_level(owner: object, level: float, prob: float) -> None:
    """Check the arguments that all these steps share.

    Raises:
        ValueError: a level outside [0, 10] or a chance outside [0, 1].
    """
    name = type(owner).__name__
    if not 0 <= level <= MAX_LEVEL:
        raise ValueError(f'{name}: level must be in [0, {MAX_LEVEL}], got {level!r}')
    check_chance(name, 'prob', prob)


def check_chance(name: str, argument: str, value: float) -> None:
    """Check a chance.

    Raises:
        ValueError: it is outside [0, 1].
    """
    if not 0 <= value <= 1:
        raise ValueError(f'{name}: {argument} must be in [0, 1], got {value!r}')


def as_fill(name: str, value: float | Sequence[float]) -> tuple[float, ...]:
    """A colour to fill images with, from a number or three of them in 0 to 255.

    Raises:
        ValueError: something else.
    """
    fill = (float(value),) * 3 if isinstance(value, (int, float)) else tuple(float(v) for v in value)
    if len(fill) != 3 or not all(0 <= v <= 255 for v in fill):
        raise ValueError(f'{name}: img_fill_val must be a number or three numbers in [0, 255], got {value!r}')
    return fill
