"""What the processes of a run tell each other beside their tensors: that one has failed, and that one is done.

Both go through the key-value store that the processes met at, so no collective operation waits, and no time-out of the
backend (ten minutes with NCCL) ends a process that waits for another.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator

import torch.distributed as dist
from torch.distributed.distributed_c10d import _get_default_store

FAILURE, FAILURES = 'mmdet/failure', 'mmdet/failures'  # the first reason, and how many there are
INTERVAL = 0.5  # seconds from one look at the store to the next
GRACE = 4 * INTERVAL  # seconds for the others to read why, before the store may end with its process
_last_actions: list[Callable[[], None]] = []  # of this process, before the failure of another ends it


def is_grouped() -> bool:
    """Whether this is one of several processes."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def announce_failure(reason: str) -> None:
    """Tell the other processes why this one ends; the first reason counts."""
    if not is_grouped():
        return
    try:
        store = _get_default_store()
        if store.add(FAILURES, 1) == 1:
            store.set(FAILURE, f'process {dist.get_rank()}: {reason}')
        time.sleep(GRACE)
    except (RuntimeError, ValueError, OSError):
        return  # the store has ended with its process


def failure_of_another(wait: float = 0.0) -> str | None:
    """Why another process has ended the run, None where none has said so.

    Args:
        wait: seconds to wait for it. The connection to a process that fails may end before its reason comes.
    """
    if not is_grouped():
        return None
    end = time.monotonic() + wait
    while True:
        try:
            store = _get_default_store()
            if store.add(FAILURES, 0):  # a look that does not wait; torch 2.1 has no `check`
                reason = store.get(FAILURE).decode()
                return None if reason.startswith(f'process {dist.get_rank()}:') else reason
        except (RuntimeError, ValueError, OSError):
            return None
        if time.monotonic() >= end:
            return None
        time.sleep(INTERVAL)


def watch_for_failures() -> None:
    """Begin to end this process, with one line, as soon as another has told why it fails.

    The main thread may be within an operation that never ends, so a thread of its own does it.
    """
    if is_grouped():
        threading.Thread(target=_watch, name='failures of other processes', daemon=True).start()


def _watch() -> None:
    while is_grouped():
        reason = failure_of_another()
        if reason is not None:
            for action in _last_actions:
                with contextlib.suppress(OSError):  # a disk that is full must not keep this process
                    action()
            print(f'error: the run ends, since another process has failed: {reason}', file=sys.stderr, flush=True)
            os._exit(1)
        time.sleep(INTERVAL)


@contextlib.contextmanager
def before_group_ends(action: Callable[[], None]) -> Iterator[None]:
    """Do something before the failure of another process ends this one, if that comes within.

    Args:
        action: is called in the thread that looks for failures, beside what the main thread does.
    """
    _last_actions.append(action)
    try:
        yield
    finally:
        _last_actions.remove(action)


def wait_for_first(name: str) -> None:
    """Let all processes wait until that of rank 0 has come here as well, however long it takes.

    Args:
        name: of this moment; each is for one use.
    """
    if not is_grouped():
        return
    store, key = _get_default_store(), f'mmdet/{name}'
    if dist.get_rank() == 0:
        store.add(key, 1)
        return
    while not store.add(key, 0):
        time.sleep(INTERVAL / 10)
