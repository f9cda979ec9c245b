"""Freed memory of this process: keep it for the next array, or give it back to the system (glibc only)."""

import ctypes
import gc
from collections.abc import Callable

# numbers of glibc's mallopt
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_ARRAY = 32 << 20  # bytes; the most that all versions of glibc accept


def keep_freed_memory(num_bytes: int = 128 << 20) -> bool:
    """Let freed arrays of up to 32 MB stay with the process, ``num_bytes`` in all.

    By default the system takes such memory back at once, and hands each page out anew, filled with zeros, when the next
    array is made. For a process that makes images one after the other that is half of its time.

    Returns:
        Whether it could be done.
    """
    set_option = _glibc('mallopt')
    return set_option is not None and bool(
        set_option(M_MMAP_THRESHOLD, LARGEST_ARRAY) and set_option(M_TRIM_THRESHOLD, num_bytes)
    )


def return_freed_memory() -> bool:
    """Give all freed memory back to the system, as after large structures have been dropped.

    Returns:
        Whether any could be given back.
    """
    gc.collect()
    trim = _glibc('malloc_trim')
    return trim is not None and bool(trim(ctypes.c_size_t(0)))


def _glibc(name: str) -> Callable[..., int] | None:
    """A function of the C library of this process, None where that has none of the name."""
    try:
        return getattr(ctypes.CDLL(None), name, None)
    except (OSError, TypeError):  # Windows
        return None
