"""What losses tell those who listen: their elements, and the rows of which images these are.

Nobody listens but in steps whose losses are logged by source (``mmdet.models.source_log``); then a head tells what
cannot be seen from outside: which of its rows a loss is over, or a loss that no loss module computes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor


class Listener(Protocol):
    """Who is told of losses."""

    def hear_elements(self, elements: Tensor, reduction: str, avg_factor: Any) -> None:
        """A loss module is about to reduce its weighted elements."""

    def hear_loss(self, name: str, elements: Tensor, images: Tensor | None, divisor: Any) -> None:
        """A head tells the elements of a loss of its own; see :func:`tell_loss`."""


class Chosen(NamedTuple):
    """Rows of a loss that are some of a head's rows."""

    numbers: Tensor  # (n,) in [0, total)
    total: int


class OfImages(NamedTuple):
    """Rows of a loss that are those of some images."""

    images: Sequence[int]  # their numbers in the batch
    counts: Sequence[int]  # rows of each
    factor: Any  # on the loss


_listeners: list[Listener] = []
_present: list[Tensor] = []
_chosen: list[Chosen] = []
_of_images: list[OfImages] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell ``listener`` of each loss."""
    with _pushed(_listeners, listener):
        yield


@contextmanager
def _pushed(stack: list, value: Any) -> Iterator[None]:
    stack.append(value)
    try:
        yield
    finally:
        stack.pop()


def tell_elements(elements: Tensor, reduction: str, avg_factor: Any) -> None:
    """Tell the weighted elements of a loss that is about to be reduced."""
    for listener in _listeners:
        listener.hear_elements(elements, reduction, avg_factor)


def tell_loss(
    name: str, elements: Callable[[], Tensor], images: Callable[[], Tensor] | None = None, divisor: Any = 1
) -> None:
    """Tell the elements of a loss that no loss module computes; nothing is computed where nobody listens.

    Args:
        name: of the loss in the head's dict of losses.
        elements: gives (n, ...); a factor that is the same for all of them does not matter.
        images: gives (n,) the number of each row's image; None: the rows stand image by image, equally many of each.
        divisor: of their sum, where it differs between the calls that make up the loss.
    """
    if _listeners:
        with torch.no_grad():
            values, owners = elements().detach(), images() if images else None
        for listener in _listeners:
            listener.hear_loss(name, values, owners, divisor)


@contextmanager
def chosen_rows(numbers: Tensor, total: int) -> Iterator[None]:
    """Say that losses inside are over the rows ``numbers`` (n,) of the ``total`` rows of the head."""
    with _pushed(_chosen, Chosen(numbers, total)):
        yield


@contextmanager
def rows_of_images(images: Sequence[int], counts: Sequence[int], factor: Any) -> Iterator[None]:
    """Say that losses inside have ``counts[k]`` rows of image ``images[k]``, and count ``factor`` times."""
    with _pushed(_of_images, OfImages(images, counts, factor)):
        yield


@contextmanager
def rows_present(present: Tensor) -> Iterator[None]:
    """Say which of the rows (n,) of losses inside are there; the others, without weight, only fill tensors up."""
    with _pushed(_present, present):
        yield


def told_present() -> Tensor | None:
    """What the innermost :func:`rows_present` says; None: all rows are there."""
    return _present[-1] if _present else None


def told_choice() -> Chosen | None:
    """What the innermost :func:`chosen_rows` says."""
    return _chosen[-1] if _chosen else None


def told_images() -> OfImages | None:
    """What the innermost :func:`rows_of_images` says."""
    return _of_images[-1] if _of_images else None
