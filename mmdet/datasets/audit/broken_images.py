"""Images that cannot be read: the error that names the file, and the book of those that were passed over."""

import logging
import os
import stat

import torch

from mmdet.utils.errors import ReportedError

_LOGGER = logging.getLogger('mmdet')
BROKEN = 'that cannot be read'  # why images are left out


class BrokenImageError(ReportedError, OSError):
    """An image file is missing or cannot be decoded; the message names the file."""


class MissingImageError(BrokenImageError, FileNotFoundError):
    """There is no such image file."""


def join_prefix(prefix: str | None, filename: str) -> str:
    """Where the image lies: under the prefix, if there is one."""
    return os.path.join(prefix, filename) if prefix else filename


def check_regular(path: str | os.PathLike[str]) -> None:
    """Refuse what has no end, or waits for somebody to write: pipes and devices, and folders.

    Raises:
        FileNotFoundError: there is nothing of that name.
        BrokenImageError: there is something else than a file.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise
    except OSError as error:  # links that lead round in a circle
        raise BrokenImageError(f'{path}: {error.strerror}') from error
    if not stat.S_ISREG(mode):
        raise BrokenImageError(f'{path} is {"a folder" if stat.S_ISDIR(mode) else "a pipe or a device"}, not a file')


class BrokenImages:
    """The images of a data set that could not be read, known to all loading processes.

    Args:
        count: number of images in the data set.
    """

    def __init__(self, count: int):
        # shared memory, so that a file is reported by one loading process only and the count is the whole one
        self._flags = torch.zeros(count, dtype=torch.uint8).share_memory_()

    def add(self, idx: int, error: BrokenImageError) -> None:
        """Note an image, and report it if it is new."""
        if idx not in self:
            self._flags[idx] = 1
            _LOGGER.warning(
                'skip_broken: %s; another image takes its place (%d of %d images are broken so far)',
                error,
                len(self),
                self._flags.numel(),
            )

    def __contains__(self, idx: int) -> bool:
        return bool(self._flags[idx])

    def __len__(self) -> int:
        return int(self._flags.sum())
