"""Kinds of values in annotation files: whether a whole column is of a kind, and how a single value is read."""

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple


class Field(NamedTuple):
    """One key of the entries of a list."""

    key: str
    kind: str  # a key of READERS
    meaning: str
    required: bool = False
    low: float = -math.inf
    high: float = math.inf

    @property
    def accepted(self) -> str:
        """What is accepted, for messages."""
        ends = [f'{sign} {end:g}' for sign, end in (('>=', self.low), ('<=', self.high)) if math.isfinite(end)]
        return ' '.join([READERS[self.kind].words, *([', '.join(ends)] if ends else []), f'({self.meaning})'])


MISSING = type('Missing', (), {'__repr__': lambda self: 'missing'})()
_NUMBERS = {int, float}


class Reader(NamedTuple):
    """How a kind of field is read."""

    words: str  # what is accepted
    all_right: Callable[[list, Field], bool]  # whether all values are of the kind already; fast
    read: Callable[[Any], Any]  # a value, the same object where it is right; None where it cannot be read


def _types(values: list) -> set[type]:
    return set(map(type, values))


def _given(values: list, field: Field) -> list | None:
    """The values that are there; None where a required one is not."""
    if type(MISSING) not in _types(values):
        return values
    return None if field.required else [value for value in values if value is not MISSING]


def _of_kinds(kinds: set[type]) -> Callable[[list, Field], bool]:
    def all_right(values: list, field: Field) -> bool:
        given = _given(values, field)
        if given is None or not _types(given) <= kinds:
            return False
        if not given or not kinds <= _NUMBERS:
            return True
        return field.low <= min(given) and max(given) <= field.high and _all_finite(given)

    return all_right


def _all_finite(numbers: list) -> bool:
    try:
        return all(map(math.isfinite, numbers))
    except OverflowError:  # an integer beyond what a float holds
        return False


def _ids_right(values: list, field: Field) -> bool:
    return _of_kinds({int})(values, field) or _of_kinds({str})(values, field)


def _texts_right(values: list, field: Field) -> bool:
    return _of_kinds({str})(values, field) and all(map(str.strip, _given(values, field) or ()))


def _flags_right(values: list, field: Field) -> bool:
    given = _given(values, field)
    return given is not None and _types(given) <= {int, bool} and set(given) <= {0, 1}


def _lists_of_numbers_right(values: list, field: Field, length: int | None = None) -> bool:
    given = _given(values, field)
    if given is None or not _types(given) <= {list}:
        return False
    if length is not None and not set(map(len, given)) <= {length}:
        return False
    flat = list(itertools.chain.from_iterable(given))
    return _types(flat) <= _NUMBERS and _all_finite(flat)


def _read_number(value: Any) -> float | None:
    if type(value) is str:
        try:
            value = float(value)
        except ValueError:
            return None
        value = int(value) if value.is_integer() else value
    try:
        return value if type(value) in _NUMBERS and math.isfinite(value) else None
    except OverflowError:  # an integer beyond what a float holds
        return None


def _read_integer(value: Any) -> int | None:
    number = _read_number(value)
    return None if number is None or number != int(number) else int(number)


def _read_id(value: Any) -> int | float | str | None:
    return value if type(value) is str and value.strip() else _read_number(value) if type(value) is not str else None


def _read_flag(value: Any) -> int | bool | None:
    if type(value) is bool:
        return value
    if type(value) is str and value.strip().lower() in ('true', 'false'):
        return int(value.strip().lower() == 'true')
    number = _read_integer(value)
    return number if number in (0, 1) else None


def _read_text(value: Any) -> str | None:
    return value if type(value) is str and value.strip() else None


def _read_numbers(value: Any, length: int | None = None) -> list | None:
    if type(value) not in (list, tuple) or length not in (None, len(value)):
        return None
    numbers = [_read_number(number) for number in value]
    if None in numbers:
        return None
    return value if all(new is old for new, old in zip(numbers, value)) else numbers


def _read_segments(value: Any) -> list | dict | None:
    return value if type(value) in (list, dict) else None


READERS = {
    'id': Reader('a number or a text', _ids_right, _read_id),
    'integer': Reader('a whole number', _of_kinds({int}), _read_integer),
    'number': Reader('a finite number', _of_kinds({int, float}), _read_number),
    'flag': Reader('0 or 1', _flags_right, _read_flag),
    'text': Reader('a text', _texts_right, _read_text),
    'box': Reader(
        'a list of four finite numbers',
        lambda values, field: _lists_of_numbers_right(values, field, 4),
        lambda value: _read_numbers(value, 4),
    ),
    'numbers': Reader('a list of finite numbers', _lists_of_numbers_right, _read_numbers),
    # what is in them is looked at where masks are used; see mmdet.datasets.audit.masks
    'segmentation': Reader('a list of polygons or an object of run lengths', _of_kinds({list, dict}), _read_segments),
}
