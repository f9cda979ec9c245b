"""One training run at a time in a work folder."""

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from mmcv.runner import get_dist_info

from mmdet.utils.errors import ReportedError
from mmdet.utils.util_distribution import broadcast_object

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NAME = '.run.lock'

# folders that this process holds; a lock taken twice by one process would be lost when the inner one is released
_held: set[Path] = set()


class RunLockError(ReportedError, RuntimeError):
    """Another run is at work in the folder."""


@contextlib.contextmanager
def run_lock(work_dir: str | os.PathLike[str]) -> Iterator[None]:
    """Hold a work folder while the context lasts; it is made where it is not there.

    The system releases the lock of a process that has ended, however it ended, so a lock file that a killed run has
    left is taken over. The file names the process and the host that hold it. On systems without POSIX locks
    (Windows) nothing is locked.

    Args:
        work_dir: the folder; a second lock by the same process changes nothing. All processes of a distributed run
            must call it; the first one holds the lock for them.

    Raises:
        RunLockError: another run holds it; raised on every process.
    """
    rank, _ = get_dist_info()
    with contextlib.ExitStack() as stack:
        problem: str | None = None
        if rank == 0:
            try:
                stack.enter_context(_locked(Path(work_dir).expanduser().resolve()))
            except RunLockError as error:
                problem = str(error)
        problem = broadcast_object(problem)
        if problem is not None:
            raise RunLockError(problem)
        yield


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The lock of this process alone."""
    if folder in _held or fcntl is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / NAME, 'a+', encoding='utf-8') as file:
        _take(file, folder)
        _held.add(folder)
        try:
            yield
        finally:
            _held.discard(folder)
            file.truncate(0)


def _take(file: IO[str], folder: Path) -> None:
    try:
        # unlike flock's, these locks are not inherited by loading processes, which may outlive a killed run
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise RunLockError(
            f'{folder} is in use by {_holder(file)}: two runs would overwrite each other. Wait for it, stop it, or '
            'give another --work-dir.'
        ) from None
    file.truncate(0)
    file.write(json.dumps(dict(pid=os.getpid(), host=socket.gethostname())))
    file.flush()


def _holder(file: IO[str]) -> str:
    file.seek(0)
    try:
        content = json.loads(file.read())
        return f'process {content["pid"]} on {content["host"]}'
    except (ValueError, KeyError, TypeError):  # the other one has just begun to write
        return 'another run'
