"""Attributes under the names that earlier versions of 2.x gave them."""

import warnings
from typing import Any


def old_name(old: str, new: str) -> property:
    """A property for the name ``old``: it warns, and gives the attribute ``new``."""

    def get(head: Any) -> Any:
        warnings.warn(f'{old} is deprecated; use {new}', DeprecationWarning, stacklevel=2)
        return getattr(head, new)

    return property(get, doc=f'Old name of ``{new}``.')
