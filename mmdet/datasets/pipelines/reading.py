"""Reading image files, with errors that name them."""

import cv2
import mmcv
import numpy as np

from mmdet.datasets.audit.broken_images import BrokenImageError

DISK = dict(backend='disk')


class FileReader:
    """Files through mmcv's file client, which is made at the first use, so that it comes to be in the worker process.

    Args:
        file_client_args: arguments of ``mmcv.FileClient``, such as ``dict(backend='disk')``.
    """

    def __init__(self, file_client_args: dict = DISK) -> None:
        self.file_client_args = dict(file_client_args)
        self._client: mmcv.FileClient | None = None

    def read(self, filename: str) -> bytes:
        """All bytes of a file.

        Raises:
            FileNotFoundError: there is no such file.
        """
        if self._client is None:
            self._client = mmcv.FileClient(**self.file_client_args)
        try:
            return self._client.get(filename)
        except FileNotFoundError:
            raise FileNotFoundError(f'image file not found: {filename}') from None

    def read_image(self, filename: str, flag: str = 'color', **kwargs) -> np.ndarray:
        """A decoded image (h, w) or (h, w, c); arguments as of ``mmcv.imfrombytes``.

        Raises:
            FileNotFoundError: there is no such file.
            BrokenImageError: the file is empty, cut off or no image.
        """
        content = self.read(filename)
        try:
            img = mmcv.imfrombytes(content, flag=flag, **kwargs) if content else None
        except (cv2.error, OSError, SyntaxError) as error:  # what OpenCV and the other backends raise
            raise BrokenImageError(f'cannot decode image file {filename} ({len(content)} bytes): {error}') from error
        if img is None or img.size == 0:
            raise BrokenImageError(
                f'cannot decode image file {filename} ({len(content)} bytes): empty, cut off or no image'
            )
        return img
