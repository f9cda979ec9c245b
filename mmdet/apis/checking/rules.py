"""What a value of a config must be: its kind and range, in words and as a test."""

import math
import numbers
import re
from collections.abc import Callable, Collection
from os import PathLike
from typing import Any, NamedTuple

from mmdet.utils.configs.config_error import ConfigTypeError


class Rule(NamedTuple):
    """What a value must be."""

    words: str
    holds: Callable[[Any], bool]


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number, True and False left out."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def whole(least: int, never: bool = False) -> Rule:
    """A whole number; with ``never`` also -1, by which mmcv means that something is not done."""
    words = f'a whole number from {least} on' + (' (or -1: never)' if never else '')
    return Rule(words, lambda value: is_whole(value) and (value >= least or (never and value == -1)))


def number(words: str, holds: Callable[[float], bool]) -> Rule:
    """A finite number for which ``holds``."""
    return Rule(f'a number {words}'.rstrip(), lambda value: _is_number(value) and math.isfinite(value) and holds(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


FLAG = Rule('True or False', lambda value: isinstance(value, bool))
TEXT = Rule('a text', lambda value: isinstance(value, str | PathLike))
DICT = Rule('a dict', lambda value: isinstance(value, dict))
DICTS = Rule(
    'a list of dicts', lambda value: isinstance(value, list | tuple) and all(isinstance(v, dict) for v in value)
)
FRACTION = number('from 0 to 1', lambda value: 0 <= value <= 1)
POSITIVE = number('above 0', lambda value: value > 0)
NOT_NEGATIVE = number('from 0 on', lambda value: value >= 0)
NUMBER = number('', lambda _: True)


def one_of(known: Collection[Any]) -> Rule:
    """One of several values."""
    return Rule(' or '.join(map(repr, known)), lambda value: value in known)


def check_rule(place: str, value: Any, rule: Rule) -> None:
    """Check one value; None is left to the default.

    Raises:
        ConfigTypeError: it is not what the rule asks for; the text begins with ``place``.
    """
    if value is not None and not rule.holds(value):
        # today's form of old keys
        old = re.sub(r'^data\.\w+_dataloader\.(\w+)$', r' (data.\1 means the same)', place)
        raise ConfigTypeError(f'{place}: expected {rule.words}, got {value!r}{old if old != place else ""}')
