"""Checkpoint files on disk: read without running code from them, written so that a kill leaves the old file whole."""

import contextlib
import io
import logging
import os
import pickle
import shutil
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from mmcv.fileio import FileClient
from mmcv.fileio.file_client import HardDiskBackend
from torch import Tensor

from mmdet.utils.atomic_write import atomic_write
from mmdet.utils.checkpoints.file_check import DamagedCheckpointError, check_entries, check_file, newest_whole
from mmdet.utils.errors import ReportedError
from mmdet.utils.misc import checkpoints_in

MapLocation = str | torch.device | Callable[..., Any] | Mapping[str, Any] | None

# what a checkpoint may hold beside tensors and containers
PLAIN_TYPES = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, torch.Size)
# what torch says of pickles that want more than it allows; it raises the same error for bytes that are no pickle
MARKS_OF_CODE = ('GLOBAL', 'global', 'Unsupported class', 'allowed', 'Can only build', 'Can only SETITEM', 'REDUCE')

_trusted = [False]  # a list, so that `trust_checkpoints` can give the earlier answer back


class UnsafeCheckpointError(RuntimeError):
    """A file holds more than tensors and plain values, so that reading it would run code from it."""


class MissingCheckpointError(ReportedError, FileNotFoundError):
    """There is no such checkpoint."""


class CheckpointWriteError(ReportedError, OSError):
    """A checkpoint could not be written: the disk is full, or the folder may not be written to."""


def set_checkpoint_trust(trusted: bool) -> None:
    """Say for the whole process whether checkpoint files may run code while they are read (``--trust-checkpoint``)."""
    _trusted[0] = bool(trusted)


@contextlib.contextmanager
def trust_checkpoints(trusted: bool = True) -> Iterator[None]:
    """The same for one block; never takes away what the process has allowed."""
    before = _trusted[0]
    _trusted[0] = before or trusted
    try:
        yield
    finally:
        _trusted[0] = before


def read_file(file: str | os.PathLike[str] | BinaryIO, map_location: MapLocation = 'cpu', trusted: bool = False) -> Any:
    """What a checkpoint file holds.

    Args:
        file: path or open file.
        map_location: as in :func:`torch.load`.
        trusted: unpickle anything, which runs whatever code the file's maker put there.

    Raises:
        MissingCheckpointError: there is no such file.
        DamagedCheckpointError: it is no checkpoint, or a part of it is missing or not as it was written.
        UnsafeCheckpointError: the file needs more than tensors and plain values, and is not trusted.
    """
    name = str(getattr(file, 'name', file))
    if isinstance(file, (str, os.PathLike)):
        file = Path(file).expanduser()
        if not file.is_file():
            raise MissingCheckpointError(f'no checkpoint at {file}')
    check_file(file, name)
    trusted = trusted or _trusted[0]
    try:
        content = torch.load(file, map_location=map_location, weights_only=not trusted)  # type: ignore[arg-type]
    except pickle.UnpicklingError as error:
        if not any(mark in str(error) for mark in MARKS_OF_CODE):
            raise DamagedCheckpointError(
                f'{name} cannot be read as a checkpoint: it is damaged or no such file'
            ) from error
        raise UnsafeCheckpointError(_refusal(name, error)) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, RecursionError) as error:
        reason = str(error).strip().split('\n')[0] or type(error).__name__
        raise DamagedCheckpointError(f'{name} cannot be read as a checkpoint: {reason}') from error
    check_entries(content, name)
    return content


def _refusal(name: str, error: Exception) -> str:
    reason = next((line.strip() for line in str(error).splitlines() if 'GLOBAL' in line), str(error).split('\n')[0])
    return (
        f'{name} holds more than tensors and plain values, and reading it would run code from it ({reason}). '
        'If you trust its maker: add --trust-checkpoint to tools/train.py or tools/test.py, set '
        'trust_checkpoint=True in the config, or call load_checkpoint(..., trusted=True); the next checkpoint '
        'that is saved needs none of this.'
    )


def plain(value: Any, logger: logging.Logger | None = None) -> Any:
    """``value`` as tensors (on the CPU) and plain Python values, in dicts, lists and tuples.

    numpy numbers become Python ones, numpy arrays tensors, sets lists, paths texts. Any other object becomes its
    ``repr``, with a warning: a run of days must not die because of one odd entry in ``meta``.
    """
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if isinstance(value, np.generic):
        return value.item()
    if type(value) in PLAIN_TYPES:
        return value
    if isinstance(value, np.ndarray) and value.dtype != object:
        return torch.from_numpy(np.ascontiguousarray(value))
    if isinstance(value, OrderedDict) and hasattr(value, '_metadata'):
        # a module's state dict: its versions travel as an attribute
        state = OrderedDict((key, plain(item, logger)) for key, item in value.items())
        state._metadata = plain(dict(value._metadata), logger)  # type: ignore[attr-defined]
        return state
    if isinstance(value, Mapping):
        return {plain(key, logger): plain(item, logger) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(plain(item, logger) for item in value)
    if isinstance(value, (list, set, frozenset, np.ndarray, range)):
        return [plain(item, logger) for item in value]
    return _as_plain_scalar(value, logger)


def _as_plain_scalar(value: Any, logger: logging.Logger | None) -> Any:
    # subclasses of plain types, such as enums'
    if isinstance(value, str):
        return str.__str__(value)
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    (logger or logging.getLogger(__name__)).warning(
        f'a checkpoint holds tensors and plain values only; a {type(value).__name__} is saved as its text'
    )
    return repr(value)


def write_file(content: Any, filename: str | os.PathLike[str], file_client_args: dict[str, Any] | None = None) -> None:
    """Save ``content`` so that ``filename`` is at every moment the old file or the whole new one.

    Storage of mmcv's file client that is no local disk (``s3://...``) gets the bytes in one piece.

    Raises:
        CheckpointWriteError: the local disk did not take it; earlier files are untouched.
    """
    client = FileClient.infer_client(file_client_args, str(filename))
    if not isinstance(client.client, HardDiskBackend):
        buffer = io.BytesIO()
        torch.save(content, buffer)
        client.put(buffer.getvalue(), str(filename))
        return
    try:
        with atomic_write(filename, 'wb') as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as error:
        # torch's writer hides the system's error behind one of its own, which is raised while it closes the file
        causes = [error, error.__context__, error.__cause__]
        reason = next((cause for cause in causes if isinstance(cause, OSError)), None)
        if reason is None and 'inline_container' not in str(error):
            raise
        raise CheckpointWriteError(_write_refusal(Path(filename), reason)) from error


def _write_refusal(path: Path, reason: OSError | None) -> str:
    kept, _ = newest_whole(checkpoints_in(path.parent)) if path.parent.is_dir() else (None, [])
    last = f'The last whole checkpoint is {kept.resolve()}' if kept else 'There is no earlier checkpoint in its folder'
    return (
        f'{path} could not be written: {reason.strerror if reason else "the disk does not take it"}. {last}. Make room '
        'or give the right to write, and go on with --auto-resume.'
    )


def point_latest(target: str | os.PathLike[str], name: str = 'latest.pth') -> None:
    """Let ``name`` beside ``target`` mean ``target``: a link, or a copy on file systems without links."""
    target = Path(target)
    temporary = target.with_name(f'.{name}.tmp')
    temporary.unlink(missing_ok=True)
    try:
        temporary.symlink_to(target.name)
    except (OSError, NotImplementedError):
        shutil.copyfile(target, temporary)
    os.replace(temporary, target.with_name(name))
