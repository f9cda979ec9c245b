"""Lets the setup.py of mmcv 1.7.x run on Python 3.13 and later; ``install_mmcv.sh`` puts this folder on the path.

It reads its version with ``exec(...)`` and then ``locals()['__version__']`` in a function. From 3.13 on a program that
is run by ``exec`` inside of a function leaves nothing in ``locals()`` of that function (PEP 667). Here it does again.
"""

import builtins
import sys
from collections.abc import Callable, Mapping
from inspect import CO_OPTIMIZED
from types import CodeType
from typing import Any


def leaving_names(run: Callable) -> Callable:
    """``exec``; without namespaces, the names that it makes stay in the function that calls it."""

    def run_here(source: str | bytes | CodeType, *namespaces: Mapping[str, Any] | None, **options: Any) -> None:
        if any(space is not None for space in (*namespaces, *options.values())):
            run(source, *namespaces, **options)
            return
        caller = sys._getframe(1)
        if not caller.f_code.co_flags & CO_OPTIMIZED:  # a module or class, whose locals() is what it has
            run(source, caller.f_globals, caller.f_locals)
            return
        names = dict(caller.f_locals)
        run(source, caller.f_globals, names)
        caller.f_locals.update(names)

    return run_here


if sys.version_info >= (3, 13):
    builtins.exec = leaving_names(exec)
