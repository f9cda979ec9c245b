"""Checkpoints hold finite numbers only, written or read."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from mmdet.utils.errors import NonFiniteError

SHOWN_NAMES = 5


def check_finite(content: Any, where: str) -> None:
    """Refuse a checkpoint with numbers that are infinite or NaN.

    Args:
        content: tensors in nested dicts, lists and tuples.
        where: the file that it was meant for.

    Raises:
        NonFiniteError: the text names the tensors.
    """
    if bad := nonfinite_names(content):
        more = f' and {len(bad) - SHOWN_NAMES} more' if len(bad) > SHOWN_NAMES else ''
        raise NonFiniteError(f'{where} is not written: {", ".join(bad[:SHOWN_NAMES])}{more} hold infinity or NaN')


def nonfinite_names(content: Any) -> list[str]:
    """Names of the tensors in nested dicts, lists and tuples that hold infinity or NaN."""
    return [name for name, tensor in _tensors(content) if not _is_finite(tensor)]


def _is_finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def _tensors(content: Any, name: str = '') -> Iterator[tuple[str, Tensor]]:
    if isinstance(content, Tensor):
        yield name, content
        return
    items: Iterable[tuple[Any, Any]] = content.items() if isinstance(content, dict) else ()
    items = enumerate(content) if isinstance(content, (list, tuple)) else items
    for key, value in items:
        yield from _tensors(value, f'{name}.{key}'.lstrip('.'))
