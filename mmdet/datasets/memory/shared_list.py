"""A list whose items lie, serialised, in one block of shared memory: loading processes add nothing to it.

A list of Python objects is copied into every process that reads it, page by page, since reading counts references.
"""

import itertools
import pickle
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from mmdet.datasets.memory.shared_memory import hold_once, processes_of_machine


class SharedList(Sequence):
    """Items that can be read like a list's, each access giving a fresh copy; changing such a copy changes nothing here.

    Where a run has several processes on a machine, as for several GPUs, those with the same items hold them once; see
    :mod:`~mmdet.datasets.memory.shared_memory`.

    Args:
        items: what can be pickled.

    Raises:
        OSError: the processes of the machine find no room for the file that they share.
    """

    def __init__(self, items: Iterable[Any]) -> None:
        ends = [0]
        processes = processes_of_machine()
        parts = itertools.chain(_pickled(items, ends), _as_bytes(ends))
        self._block = hold_once(parts, processes) if processes > 1 else _shared_tensor(b''.join(parts))
        self._length = len(ends) - 1

    @property
    def num_bytes(self) -> int:
        """Size of the shared memory."""
        return len(self._block.numpy())

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f'{type(self).__name__}: index {index} of {len(self)} items')
        content = self._block.numpy()
        ends = content[-8 * (len(self) + 1) :].view(np.int64)
        start, end = ends[place : place + 2].tolist()
        return pickle.loads(memoryview(content[start:end]))

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


def _pickled(items: Iterable[Any], ends: list[int]) -> Iterator[bytes]:
    """Each item in bytes; ``ends`` is added where it ends."""
    for item in items:
        content = pickle.dumps(item, protocol=pickle.HIGHEST_PROTOCOL)
        ends.append(ends[-1] + len(content))
        yield content


def _as_bytes(ends: list[int]) -> Iterator[bytes]:
    """The places of the items, once all are known."""
    yield np.asarray(ends, dtype=np.int64).tobytes()


def _shared_tensor(content: bytes) -> torch.Tensor:
    tensor = torch.empty(len(content), dtype=torch.uint8).share_memory_()
    tensor.numpy()[:] = np.frombuffer(content, dtype=np.uint8)
    return tensor
