"""Bytes that the processes of one machine hold once: a file, named after its content, that each of them maps.

A process writes its bytes into a file of its own. Is there one of the same content under the common name already, it
takes that and drops its own; else its own gets the name. No process waits for another, so one that fails holds up none,
and processes whose bytes differ share nothing by mistake. The name goes as soon as all processes of the run have the
file, the memory with the last of them. What a run leaves that is killed in between, the next one takes away.
"""

import contextlib
import hashlib
import mmap
import os
import tempfile
import time
import weakref
from collections.abc import Iterable, Iterator
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch.distributed as dist

try:
    import fcntl
    from multiprocessing.reduction import DupFd
except ImportError:  # Windows
    fcntl = None

NUMBER_BYTES = 8  # of each process's number, behind the content
LEFT_OVER_AFTER = 60  # seconds; a younger file may belong to a process that is about to lock it


class MachineBlock:
    """The content of a file, mapped for reading; forked and spawned processes get the same memory.

    Args:
        descriptor: of the file; closed with this object.
        num_bytes: length of the content.
        name: of the file, if it has one that is to go with this object at the latest.
    """

    def __init__(self, descriptor: int, num_bytes: int, name: Path | None = None) -> None:
        self._descriptor = descriptor
        self._array = np.frombuffer(mmap.mmap(descriptor, num_bytes, access=mmap.ACCESS_READ), np.uint8)
        weakref.finalize(self, _let_go, descriptor, name, os.getpid())

    def numpy(self) -> np.ndarray:
        """The content (n,) uint8, read-only."""
        return self._array

    def __reduce__(self) -> tuple:
        return _private_block, (self._array.tobytes(),)  # what is copied or written to a file


def _private_block(content: bytes) -> MachineBlock:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        return MachineBlock(os.dup(file.fileno()), len(content))


def _to_spawned(block: MachineBlock) -> tuple:
    return _from_parent, (DupFd(block._descriptor), len(block.numpy()))


def _from_parent(descriptor: 'DupFd', num_bytes: int) -> MachineBlock:
    return MachineBlock(descriptor.detach(), num_bytes)


ForkingPickler.register(MachineBlock, _to_spawned)


def processes_of_machine() -> int:
    """How many processes of this run are on this machine, as its launcher says; 1 without a process group."""
    if fcntl is None or not (dist.is_available() and dist.is_initialized()):
        return 1
    return int(os.environ.get('LOCAL_WORLD_SIZE', 1))


def hold_once(parts: Iterable[bytes], processes: int) -> MachineBlock:
    """The joined ``parts``, in memory that this process has in common with others that ask for the same.

    Until all have asked, the file has a name in the folder for temporary files (``TMPDIR``).

    Args:
        parts: at least one byte in all.
        processes: how many will ask.

    Raises:
        OSError: the folder cannot be written to, or is full.
    """
    folder = Path(tempfile.gettempdir())
    prefix = f'mmdet-annotations-{os.getuid()}-'
    _remove_left_overs(folder, prefix)
    try:
        with _own_file(folder, prefix) as own:
            digest, num_bytes = _write(parts, own)
            common = folder / f'{prefix}{digest}'
            descriptor = _common_file(own, common)
        _add_number(descriptor, common, num_bytes, processes)
    except OSError as err:
        raise OSError(
            err.errno,
            f'share_annotations: the processes of this machine cannot share a file in {folder} ({err.strerror}); set '
            'the variable TMPDIR to a folder on a local disk with enough room',
        ) from err
    return MachineBlock(descriptor, num_bytes, common)


@contextlib.contextmanager
def _own_file(folder: Path, prefix: str) -> Iterator[BinaryIO]:
    """A locked file that loses its name at the end."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=prefix, delete=False) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield file
        finally:
            os.unlink(file.name)


def _write(parts: Iterable[bytes], file: BinaryIO) -> tuple[str, int]:
    """Write all parts; digest and length."""
    digest, num_bytes = hashlib.blake2b(digest_size=20), 0
    for part in parts:
        file.write(part)
        digest.update(part)
        num_bytes += len(part)
    file.flush()
    return digest.hexdigest(), num_bytes


def _common_file(own: BinaryIO, common: Path) -> int:
    """Descriptor of the locked file of the common name, which ``own`` becomes if there is none."""
    while True:
        with contextlib.suppress(FileExistsError):
            os.link(own.name, common)
            return os.dup(own.fileno())
        with contextlib.suppress(FileNotFoundError):  # the last process was here between the two
            descriptor = os.open(common, os.O_RDWR | os.O_NOFOLLOW)
            if os.fstat(descriptor).st_uid != os.getuid():  # the content is unpickled: it must be ours
                os.close(descriptor)
                raise PermissionError(1, f'{common} belongs to another user')
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            if _has_name(descriptor, common):  # it was not removed as a left-over in between
                return descriptor
            os.close(descriptor)


def _add_number(descriptor: int, common: Path, num_bytes: int, processes: int) -> None:
    """Write the number of this process behind the content; the last of the processes removes the name."""
    # appending is one step, whoever else does it at the same time
    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_APPEND)
    os.write(descriptor, os.getpid().to_bytes(NUMBER_BYTES, 'little'))
    numbers = os.pread(descriptor, os.fstat(descriptor).st_size - num_bytes, num_bytes)
    if len(set(np.frombuffer(numbers, f'V{NUMBER_BYTES}').tolist())) >= processes and _has_name(descriptor, common):
        common.unlink(missing_ok=True)


def _has_name(descriptor: int, name: Path) -> bool:
    """Whether a name still is that of an open file."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.stat(name), os.fstat(descriptor))
    return False


def _let_go(descriptor: int, name: Path | None, pid: int) -> None:
    """Close a file, and remove its name if it still has one: some process did not come for it."""
    if name is not None and pid == os.getpid() and _has_name(descriptor, name):
        name.unlink(missing_ok=True)
    os.close(descriptor)


def _remove_left_overs(folder: Path, prefix: str) -> None:
    """Remove files that no process has locked: theirs were killed."""
    for path in folder.glob(f'{prefix}*'):
        with contextlib.suppress(OSError), path.open('rb') as file:
            if time.time() - os.fstat(file.fileno()).st_mtime > LEFT_OVER_AFTER:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
