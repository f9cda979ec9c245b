"""A list whose items lie, serialised, in one block of shared memory: loading processes add nothing to it.

A list of Python objects is copied into every process that reads it, page by page, since reading counts references.
"""

import pickle
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch


class SharedList(Sequence):
    """Items that can be read like a list's, each access giving a fresh copy; changing such a copy changes nothing here.

    Args:
        items: what can be pickled.
    """

    def __init__(self, items: Iterable[Any]) -> None:
        parts = [pickle.dumps(item, protocol=pickle.HIGHEST_PROTOCOL) for item in items]
        ends = np.cumsum([0] + [len(part) for part in parts], dtype=np.int64)
        self._ends = torch.from_numpy(ends).share_memory_()
        self._bytes = torch.empty(int(ends[-1]), dtype=torch.uint8).share_memory_()
        self._bytes.numpy()[:] = np.frombuffer(b''.join(parts), dtype=np.uint8)

    @property
    def num_bytes(self) -> int:
        """Size of the shared memory."""
        return self._bytes.numel() + 8 * self._ends.numel()

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f'{type(self).__name__}: index {index} of {len(self)} items')
        start, end = self._ends[place : place + 2].tolist()
        return pickle.loads(memoryview(self._bytes.numpy()[start:end]))

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __add__(self, other: Iterable[Any]) -> list:
        return [*self, *other]

    def __radd__(self, other: Iterable[Any]) -> list:
        return [*other, *self]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (list, SharedList)) and len(self) == len(other) and all(map(_equal, self, other))

    __hash__ = None  # as a list

    def __repr__(self) -> str:
        return f'{type(self).__name__}({len(self)} items, {self.num_bytes / 2**20:.1f} MB)'


def _equal(a: Any, b: Any) -> bool:
    return bool(a == b)
