"""Reading image files, with errors that name them."""

import logging

import cv2
import mmcv
import numpy as np

from mmdet.core.visualization.reading import JPEG_END, JPEG_START
from mmdet.datasets.audit.broken_images import BrokenImageError, MissingImageError, check_regular
from mmdet.datasets.memory.image_cache import ImageCache

_LOGGER = logging.getLogger('mmdet')
DISK = dict(backend='disk')


class FileReader:
    """Files through mmcv's file client, which is made at the first use, so that it comes to be in the worker process.

    With a ``cache`` (see :mod:`~mmdet.datasets.memory.image_cache`) a file is read, or decoded, once; a reader decodes
    all of its images alike.

    Args:
        file_client_args: arguments of ``mmcv.FileClient``, such as ``dict(backend='disk')``.
    """

    def __init__(self, file_client_args: dict = DISK) -> None:
        self.file_client_args = dict(file_client_args)
        self._client: mmcv.FileClient | None = None
        self.num_cut_short = 0
        self.cache: ImageCache | None = None

    def read(self, filename: str) -> bytes:
        """All bytes of a file.

        Raises:
            MissingImageError: there is no such file.
            BrokenImageError: it is a folder, a pipe or a device.
        """
        cached = self.cache.get(filename) if self.cache is not None and self.cache.kind == 'encoded' else None
        if cached is not None:
            return cached.tobytes()
        content = self._read_file(filename)
        if self.cache is not None and self.cache.kind == 'encoded':
            self.cache.put(filename, np.frombuffer(content, np.uint8))
        return content

    def _read_file(self, filename: str) -> bytes:
        if self._client is None:
            self._client = mmcv.FileClient(**self.file_client_args)
        try:
            if self.file_client_args.get('backend') == 'disk':
                check_regular(filename)
            return self._client.get(filename)
        except FileNotFoundError:
            raise MissingImageError(f'image file not found: {filename}') from None

    def read_image(self, filename: str, flag: str = 'color', **kwargs) -> np.ndarray:
        """A decoded image (h, w) or (h, w, c); arguments as of ``mmcv.imfrombytes``.

        Of a JPEG that is cut short what there is, with a warning that counts them (``num_cut_short``).

        Raises:
            MissingImageError: there is no such file.
            BrokenImageError: the file is empty, cut off beyond reading, or no image.
        """
        if self.cache is None or self.cache.kind != 'decoded':
            return self._read_image(filename, flag, **kwargs)
        img = self.cache.get(filename)
        if img is None:
            img = self._read_image(filename, flag, **kwargs)
            self.cache.put(filename, img)
        return img

    def _read_image(self, filename: str, flag: str, **kwargs) -> np.ndarray:
        content = self.read(filename)
        img, reason = _decode(content, flag, **kwargs)
        if img is None and content.startswith(JPEG_START):
            # what a JPEG that is cut short holds can be seen once it has an end
            img, _ = _decode(content + JPEG_END, flag, **kwargs)
            if img is not None:
                self.num_cut_short += 1
                _LOGGER.warning(
                    'image file %s is cut short (%d bytes); what it holds is used, the rest is grey (%d such reads in '
                    'this process)',
                    filename,
                    len(content),
                    self.num_cut_short,
                )
        if img is None:
            raise BrokenImageError(f'cannot decode image file {filename} ({len(content)} bytes): {reason}')
        return img


def _decode(content: bytes, flag: str, **kwargs) -> tuple[np.ndarray | None, str]:
    """An image and '', or None and the reason."""
    try:
        img = mmcv.imfrombytes(content, flag=flag, **kwargs) if content else None
    except (cv2.error, OSError, SyntaxError) as error:  # what OpenCV and the other backends raise
        return None, str(error)
    return (img, '') if img is not None and img.size else (None, 'empty, cut off or no image')
