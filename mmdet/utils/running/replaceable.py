"""Functions whose values no graph can hold, and what stands for them while a model is traced.

A function that counts its candidates on the host, to choose the fastest way, cannot be traced: its way would be frozen.
It is marked :func:`replaceable`, and who traces a model says by :func:`replaced` what is recorded in its place. Nothing
in the function itself knows of tracing.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec('P')
R = TypeVar('R')

_in_place_of: dict[Callable, Callable] = {}


def replaceable(function: Callable[P, R]) -> Callable[P, R]:
    """Let :func:`replaced` put another function in the place of this one."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return (_in_place_of.get(call, function) if _in_place_of else function)(*args, **kwargs)

    return call


@contextmanager
def replaced(functions: Mapping[Callable, Callable]) -> Iterator[None]:
    """Put functions in the place of replaceable ones, in all threads, until the block ends.

    Args:
        functions: what stands for each replaceable function; it takes the same arguments.
    """
    with _only({**_in_place_of, **functions}):
        yield


def as_written() -> AbstractContextManager[None]:
    """Undo :func:`replaced` until the block ends."""
    return _only({})


@contextmanager
def _only(functions: Mapping[Callable, Callable]) -> Iterator[None]:
    before = dict(_in_place_of)
    _in_place_of.clear()
    _in_place_of.update(functions)
    try:
        yield
    finally:
        _in_place_of.clear()
        _in_place_of.update(before)


__all__ = ['as_written', 'replaceable', 'replaced']
