"""Bytes that a process and its loading processes write and read together."""

import mmap
import os
import tempfile
import weakref
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np

try:
    from multiprocessing.reduction import DupFd
except ImportError:  # Windows
    DupFd = None


class SharedBuffer:
    """Zeros in shared memory; what a forked or spawned process writes, all of them read.

    The machine gives the memory page by page, when it is first written to.

    Args:
        num_bytes: at least 1.

    Raises:
        OSError: the system has no such memory.
    """

    def __init__(self, num_bytes: int) -> None:
        if DupFd is None:
            raise OSError('this system cannot share memory with loading processes')
        self._map(_new_file(num_bytes), num_bytes)

    def _map(self, descriptor: int, num_bytes: int) -> None:
        self._descriptor = descriptor
        self._array = np.frombuffer(mmap.mmap(descriptor, num_bytes), np.uint8)
        weakref.finalize(self, os.close, descriptor)

    def numpy(self) -> np.ndarray:
        """The bytes (n,) uint8, to read and write."""
        return self._array

    def __reduce__(self) -> tuple[Any, ...]:
        return SharedBuffer, (len(self._array),)  # what is copied, or written to a file, begins anew


def _new_file(num_bytes: int) -> int:
    """Descriptor of a file without a name, in memory where the system has such files."""
    if hasattr(os, 'memfd_create'):
        descriptor = os.memfd_create('mmdet')
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.truncate(descriptor, num_bytes)
    return descriptor


def _to_spawned(buffer: SharedBuffer) -> tuple[Any, ...]:
    return _from_parent, (DupFd(buffer._descriptor), len(buffer.numpy()))


def _from_parent(descriptor: Any, num_bytes: int) -> SharedBuffer:
    buffer = SharedBuffer.__new__(SharedBuffer)
    buffer._map(descriptor.detach(), num_bytes)
    return buffer


ForkingPickler.register(SharedBuffer, _to_spawned)
