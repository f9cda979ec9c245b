"""Files that are at every moment the old ones or the whole new ones."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def atomic_write(
    path: str | os.PathLike[str], mode: str = 'w', shared: bool = False, **options: Any
) -> Iterator[IO[Any]]:
    """Open a file for writing that takes its name when it is complete and on the disk; an error leaves what was there.

    The content goes into a hidden file in the same folder, which is made where it is not there.

    Args:
        path: of the file.
        mode: ``'w'`` or ``'wb'``.
        shared: other processes may write the same file at the same time; the last one to end prevails. Else what a
            killed process has left is overwritten by the next that writes.
        **options: of ``open``, such as ``encoding`` and ``newline``.
    """
    target = Path(path).expanduser()
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f'.{target.name}.{os.getpid()}.tmp' if shared else f'.{target.name}.tmp')
    try:
        with open(temporary, mode, **options) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut; systems that cannot open folders do without."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
