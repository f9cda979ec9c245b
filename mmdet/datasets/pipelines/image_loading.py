"""Loading steps for images; :mod:`mmdet.datasets.pipelines.loading` is their public place."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mmdet.datasets.audit.broken_images import BrokenImageError, join_prefix
from mmdet.datasets.pipelines.reading import DISK, FileReader
from mmdet.datasets.registry import PIPELINES

# what to do about images that are rotated when they are read
IGNORE_ROTATION = "LoadImageFromFile(color_type='color_ignore_orientation')"


def set_image(results: dict, img: np.ndarray) -> dict:
    """Put a fresh image, whose pixels must be finite, and its sizes into the results."""
    # NaN is both the smallest and the largest of its image
    if img.dtype.kind == 'f' and img.size and not np.isfinite([img.min(), img.max()]).all():
        raise BrokenImageError(f'{results.get("filename")}: {(~np.isfinite(img)).sum()} pixels are infinite or NaN')
    results.update(img=img, img_shape=img.shape, ori_shape=img.shape, img_fields=['img'])
    return results


def check_stated_size(img: np.ndarray, img_info: Mapping[str, Any], filename: str) -> None:
    """Compare an image with the size that the annotations state, if they do.

    Raises:
        BrokenImageError: they differ, so that boxes and masks would not fit.
    """
    stated, size = (img_info.get('width'), img_info.get('height')), (img.shape[1], img.shape[0])
    if None in stated or stated == size:
        return
    turned = stated == size[::-1]
    raise BrokenImageError(
        f'{filename} is {size[0]}x{size[1]} px, but the annotations say {stated[0]}x{stated[1]}, so that its boxes do '
        + (f'not fit: a rotation is stored in the file; {IGNORE_ROTATION} leaves it aside' if turned else 'not fit')
    )


@PIPELINES.register_module()
class LoadImageFromFile:
    """Read the image ``img_info['filename']`` below ``img_prefix``.

    Sets ``filename`` (whole path), ``ori_filename``, ``img``, ``img_shape`` and ``ori_shape`` (h, w, c), and
    ``img_fields``.

    Args:
        to_float32: give float32 instead of uint8, still 0 to 255.
        color_type: 'color', 'grayscale' or 'unchanged', as in ``mmcv.imfrombytes``.
        channel_order: 'bgr' or 'rgb'.
        file_client_args: see :class:`~mmdet.datasets.pipelines.reading.FileReader`.

    Raises:
        FileNotFoundError: (when called) the file is not there; it is named.
        BrokenImageError: (when called) the file is broken, or of another size than ``img_info`` states; it is named.
    """

    def __init__(
        self,
        to_float32: bool = False,
        color_type: str = 'color',
        channel_order: str = 'bgr',
        file_client_args: dict = DISK,
    ) -> None:
        self.to_float32 = to_float32
        self.color_type = color_type
        self.channel_order = channel_order
        self.reader = FileReader(file_client_args)
        self.file_client_args = self.reader.file_client_args

    def __call__(self, results: dict) -> dict:
        ori_filename = results['img_info']['filename']
        filename = join_prefix(results.get('img_prefix'), ori_filename)
        img = self.reader.read_image(filename, flag=self.color_type, channel_order=self.channel_order)
        check_stated_size(img, results['img_info'], filename)
        results.update(filename=filename, ori_filename=ori_filename)
        return set_image(results, img.astype(np.float32) if self.to_float32 else img)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(to_float32={self.to_float32}, color_type={self.color_type!r}, '
            f'channel_order={self.channel_order!r}, file_client_args={self.file_client_args})'
        )


@PIPELINES.register_module()
class LoadImageFromWebcam(LoadImageFromFile):
    """Take the image that is there already, an array under ``img``, such as a frame of a camera."""

    def __call__(self, results: dict) -> dict:
        img = results['img']
        results.update(filename=None, ori_filename=None)
        return set_image(results, img.astype(np.float32) if self.to_float32 else img)


@PIPELINES.register_module()
class LoadMultiChannelImageFromFiles:
    """Read an image whose channels lie in files of their own: ``img_info['filename']`` is the list of them.

    Sets what :class:`LoadImageFromFile` sets (``filename`` and ``ori_filename`` are lists), and ``pad_shape``,
    ``scale_factor`` and ``img_norm_cfg`` of an untouched image.

    Args:
        to_float32: give float32.
        color_type: as in ``mmcv.imfrombytes``.
        file_client_args: see :class:`~mmdet.datasets.pipelines.reading.FileReader`.
    """

    def __init__(self, to_float32: bool = False, color_type: str = 'unchanged', file_client_args: dict = DISK) -> None:
        self.to_float32 = to_float32
        self.color_type = color_type
        self.reader = FileReader(file_client_args)
        self.file_client_args = self.reader.file_client_args

    def __call__(self, results: dict) -> dict:
        ori_filenames = results['img_info']['filename']
        filenames = [join_prefix(results.get('img_prefix'), name) for name in ori_filenames]
        img = np.stack([self.reader.read_image(name, flag=self.color_type) for name in filenames], axis=-1)
        results.update(filename=filenames, ori_filename=ori_filenames)
        results = set_image(results, img.astype(np.float32) if self.to_float32 else img)
        num_channels = 1 if img.ndim < 3 else img.shape[2]
        norm = dict(mean=np.zeros(num_channels, np.float32), std=np.ones(num_channels, np.float32), to_rgb=False)
        results.update(pad_shape=img.shape, scale_factor=1.0, img_norm_cfg=norm)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(to_float32={self.to_float32}, color_type={self.color_type!r}, '
            f'file_client_args={self.file_client_args})'
        )
