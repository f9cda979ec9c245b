"""Whether a file is a whole checkpoint, found out before anything of it is unpickled.

``torch.save`` writes a zip file with a checksum for each of its records, which ``torch.load`` does not look at.
"""

import os
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

from mmdet.utils.errors import ReportedError

HEAD = 512  # bytes
ZIP, PICKLE = b'PK\x03\x04', b'\x80'
TAR_MAGIC = b'ustar'  # at byte 257; torch before 0.1.10
MAX_EXPANSION = 4  # unpacked size by file size; torch stores its records as they are
MAX_ENTRIES = 2_000_000  # values of all kinds; the largest detectors have some ten thousands


class DamagedCheckpointError(ReportedError, RuntimeError):
    """A file is no checkpoint, or not a whole one."""


def check_file(file: str | os.PathLike[str] | BinaryIO, name: str | None = None) -> None:
    """Refuse a file that is no checkpoint, was cut off, or has changed since it was written.

    Args:
        file: path, or open file; its position is kept.
        name: what errors call it.

    Raises:
        DamagedCheckpointError: the text says what the file is instead, and what to do.
    """
    name = name or str(file)
    if isinstance(file, str | os.PathLike):
        with open(file, 'rb') as opened:
            check_file(opened, name)
        return
    start = file.tell()
    head, size = file.read(HEAD), file.seek(0, os.SEEK_END)
    file.seek(start)
    if head.startswith(ZIP):
        _check_zip(file, size, name)
        file.seek(start)
    elif not head.startswith(PICKLE) and TAR_MAGIC not in head:
        raise DamagedCheckpointError(f'{name} {_what_it_is(head)}')


def _what_it_is(head: bytes) -> str:
    if not head:
        return 'is empty: it was not written to its end; take an earlier checkpoint'
    if head.startswith(b'version https://git-lfs'):
        return 'is a pointer of git-lfs, not the file itself; fetch that with `git lfs pull`'
    if head.lstrip()[:1] == b'<':
        return 'is a web page, not a checkpoint; download the file itself'
    if all(byte in b'\t\n\r' or 32 <= byte < 127 for byte in head):
        return 'is a text file, not a checkpoint'
    return 'is no checkpoint: it is not in a format of torch.save'


def _check_zip(file: BinaryIO, size: int, name: str) -> None:
    again = 'take an earlier checkpoint, or fetch it again'
    try:
        with zipfile.ZipFile(file) as records:
            unpacked = sum(info.file_size for info in records.infolist())
            if unpacked > MAX_EXPANSION * size + HEAD:
                raise DamagedCheckpointError(f'{name}: {size} bytes unpack to {unpacked}, which no checkpoint does')
            bad = records.testzip()
    except DamagedCheckpointError:
        raise
    except Exception as error:  # names that are no text, flags of encryption, sizes beyond the file, ...
        raise DamagedCheckpointError(f'{name} is cut off or damaged ({size} bytes): {error}; {again}') from error
    if bad is not None:
        raise DamagedCheckpointError(f'{name} is damaged: the checksum of {bad} is wrong; {again}')


def check_entries(content: Any, name: str) -> None:
    """Refuse content that unfolds to more values than a checkpoint can have: lists that hold one another many times.

    Raises:
        DamagedCheckpointError: there are too many.
    """
    stack, count = [content], 0
    while stack:
        node = stack.pop()
        inner = node.values() if isinstance(node, dict) else node if isinstance(node, list | tuple) else ()
        count += len(inner)
        if count > MAX_ENTRIES:
            raise DamagedCheckpointError(f'{name} holds more than {MAX_ENTRIES} values, which no checkpoint does')
        stack.extend(item for item in inner if isinstance(item, dict | list | tuple))


def newest_whole(paths: list[Path]) -> tuple[Path | None, list[str]]:
    """The first of some checkpoints that is whole, and what is wrong with those before it."""
    problems: list[str] = []
    for path in paths:
        try:
            check_file(path)
            return path, problems
        except (DamagedCheckpointError, OSError) as error:
            problems.append(str(error))
    return None, problems
