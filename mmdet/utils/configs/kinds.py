"""Kinds of the values of a config, checked against the type hints of the constructors that take them."""

import inspect
import numbers
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from functools import cache
from os import PathLike
from typing import Any, Literal, Optional, Union

import numpy as np

# whose hints say what their constructors take
CHECKED = ('mmdet', 'mmcv', 'torch')
LIBRARIES = (*CHECKED, 'torchvision')  # packages of which all parts of a detector are, but for the user's own
SCALARS = (bool, int, float, str)


def kind_problem(cls: Any, arguments: Mapping[str, Any]) -> str | None:
    """What is wrong with calling ``cls`` with values of these kinds; None: nothing that the hints of it could tell.

    Classes from elsewhere, arguments without hints and hints that are not understood are left out.
    """
    if getattr(cls, '__module__', '').partition('.')[0] not in CHECKED:
        return None
    hints = argument_hints(cls)
    for name, value in arguments.items():
        if name in hints and not fits(value, hints[name]):
            return f'{cls.__name__} (in {cls.__module__}): {name}: expected {shown(hints[name])}, got {value!r}.'
    return None


@cache
def argument_hints(cls: Any) -> dict[str, Any]:
    """Name of an argument -> its hint; where ``**kwargs`` go on to the parent's constructor, those of that too."""
    if not inspect.isclass(cls):
        return _hints_of(cls)
    hints: dict[str, Any] = {}
    for parent in cls.__mro__:
        init = vars(parent).get('__init__')
        if not inspect.isfunction(init):
            continue
        hints = {**_hints_of(init), **hints}
        if not any(p.kind is p.VAR_KEYWORD for p in inspect.signature(init).parameters.values()):
            break
    return hints


def _hints_of(function: Any) -> dict[str, Any]:
    try:
        found = typing.get_type_hints(function)
        params = inspect.signature(function).parameters
    except (AttributeError, NameError, TypeError, ValueError):  # names for type checkers only; functions written in C
        return {}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    own = {
        name: hint for name, hint in found.items() if name in params and params[name].kind in named and name != 'self'
    }
    # a default of None stands for itself, whatever the hint says
    return {name: Optional[hint] if params[name].default is None else hint for name, hint in own.items()}  # noqa: UP045


def fits(value: Any, hint: Any) -> bool:
    """Whether a value of a config is of the kind of a hint; True where the hint is not understood.

    None always does: it says that there is nothing, and who cannot do without refuses it.
    """
    if value is None:
        return True
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin is Literal:
        return value in parts
    kind = origin or hint
    if not inspect.isclass(kind) or kind in (object, Any):
        return True
    if kind is type(None):
        return False
    if kind in SCALARS:
        return _fits_scalar(value, kind)
    if isinstance(value, str):  # as a sequence of letters it is never meant
        named: tuple[Any, ...] = (Callable,)  # functions, beside classes and files
        return issubclass(kind, (type, PathLike)) or kind in named
    if isinstance(value, numbers.Number):
        return isinstance(value, kind)
    if isinstance(value, dict):  # it may be the config of an object of any class
        return not _is_sequence(kind)
    if isinstance(value, (list, tuple)) and _is_sequence(kind):
        elements = [part for part in parts if part is not Ellipsis]
        return not elements or all(any(fits(item, part) for part in elements) for item in value)
    # a list of configs stands for one where parts are put one behind the other, as necks are
    return (
        not isinstance(value, (list, tuple)) or not issubclass(kind, Mapping) or all(isinstance(v, dict) for v in value)
    )


def _is_sequence(kind: type) -> bool:
    return kind in (Iterable, Collection) or issubclass(kind, (Sequence, Set)) and not issubclass(kind, str)


def _fits_scalar(value: Any, kind: type) -> bool:
    if kind is str:
        return isinstance(value, (str, PathLike))
    if kind is bool:
        return isinstance(value, (bool, np.bool_)) or value in (0, 1)
    if not isinstance(value, numbers.Real):
        return False
    return kind is float or isinstance(value, numbers.Integral) or float(value).is_integer()


def shown(hint: Any) -> str:
    """A hint in words."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return ' or '.join(dict.fromkeys(shown(part) for part in parts))
    if origin is Literal:
        return ' or '.join(map(repr, parts))
    if hint is type(None):
        return 'None'
    words = {bool: 'True or False', int: 'a whole number', float: 'a number', str: 'a text', dict: 'a dict'}
    kind = origin or hint
    if kind in words:
        return words[kind]
    if inspect.isclass(kind) and _is_sequence(kind):
        inner = ' or '.join(dict.fromkeys(shown(part) for part in parts if part is not Ellipsis))
        return f'a list of ({inner})' if inner else 'a list'
    if inspect.isclass(kind) and issubclass(kind, Mapping):
        return 'a dict'
    return getattr(kind, '__name__', str(kind))
