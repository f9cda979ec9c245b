"""Padding."""

import math
import warnings
from collections.abc import Sequence

import mmcv
import numpy as np

from mmdet.datasets.pipelines.formatting import PAD_VALUES
from mmdet.datasets.registry import PIPELINES


@PIPELINES.register_module()
class Pad:
    """Pad images, masks and segmentation maps at the right and the bottom.

    An image that is larger than ``size`` stays as it is. Sets ``pad_shape``, ``pad_fixed_size`` and
    ``pad_size_divisor``; ``img_shape`` stays that without padding.

    Args:
        size: (h, w) to pad to; either this, ``size_divisor`` or ``pad_to_square``.
        size_divisor: pad both edges to multiples of this.
        pad_to_square: pad the shorter edge to the longer one.
        pad_val: what to fill with, for ``img`` (a number, or one a channel), ``masks`` and ``seg``; a number alone is
            for images and masks.

    Raises:
        ValueError: none or contradicting ones of the ways to say the size.
    """

    def __init__(
        self,
        size: tuple[int, int] | None = None,
        size_divisor: int | None = None,
        pad_to_square: bool = False,
        pad_val: dict | float = PAD_VALUES,
    ) -> None:
        if size is not None and (size_divisor is not None or pad_to_square):
            raise ValueError('Pad: size goes neither with size_divisor nor with pad_to_square')
        if pad_to_square and size_divisor is not None:
            raise ValueError('Pad: pad_to_square does not go with size_divisor; keep one of them')
        if size is None and size_divisor is None and not pad_to_square:
            raise ValueError('Pad: expected one of size, size_divisor and pad_to_square')
        if size_divisor is not None and size_divisor < 1:
            raise ValueError(f'Pad: size_divisor must be 1 or more px, got {size_divisor}')
        self.size = size
        self.size_divisor = size_divisor
        self.pad_to_square = pad_to_square
        if not isinstance(pad_val, dict):
            warnings.warn(
                f'pad_val as a number is deprecated; write pad_val=dict(img={pad_val}, masks={pad_val}, seg=255)',
                DeprecationWarning,
                stacklevel=2,
            )
        self.pad_val = dict(pad_val) if isinstance(pad_val, dict) else dict(img=pad_val, masks=pad_val, seg=255)

    def _target_size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """(h, w) after padding of an image of ``shape``."""
        if self.size is not None:
            return self.size[0], self.size[1]
        if self.size_divisor is None:  # then the image is padded to a square
            return max(shape[:2]), max(shape[:2])
        (height, width), divisor = shape[:2], self.size_divisor
        return math.ceil(height / divisor) * divisor, math.ceil(width / divisor) * divisor

    def _pad_img(self, results: dict) -> None:
        for key in results.get('img_fields', ['img']):
            img = results[key]
            size = self._target_size(img.shape)
            results[key] = pad_image(img, size, per_channel(self.pad_val.get('img', 0), img))
            results['pad_shape'] = results[key].shape
            results['pad_fixed_size'] = size if self.pad_to_square else self.size
        results['pad_size_divisor'] = self.size_divisor

    def _pad_masks(self, results: dict) -> None:
        for key in results.get('mask_fields', []):
            results[key] = results[key].pad(results['pad_shape'][:2], pad_val=self.pad_val.get('masks', 0))

    def _pad_seg(self, results: dict) -> None:
        for key in results.get('seg_fields', []):
            pad_val = self.pad_val.get('seg', 255)
            results[key] = mmcv.impad(results[key], shape=results['pad_shape'][:2], pad_val=pad_val)

    def __call__(self, results: dict) -> dict:
        self._pad_img(results)
        self._pad_masks(results)
        self._pad_seg(results)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(size={self.size}, size_divisor={self.size_divisor}, '
            f'pad_to_square={self.pad_to_square}, pad_val={self.pad_val})'
        )


def pad_image(img: np.ndarray, size: tuple[int, int], pad_val: float | Sequence[float]) -> np.ndarray:
    """Image (h, w) or (h, w, c) padded to at least ``size`` (h, w); planes as ``Normalize`` gives stay planes."""
    if img.ndim == 3 and img.dtype == np.float32 and img.transpose(2, 0, 1).flags.c_contiguous:
        height, width, channels = img.shape
        planes = np.empty((channels, max(height, size[0]), max(width, size[1])), np.float32)
        planes[:, :height, :width] = img.transpose(2, 0, 1)
        fill = np.reshape(pad_val, (-1, 1, 1))
        planes[:, height:] = fill
        planes[:, :height, width:] = fill
        return planes.transpose(1, 2, 0)
    padded = mmcv.impad(img, shape=size, pad_val=pad_val)
    # OpenCV drops the axis of a single channel
    return padded.reshape(*padded.shape[:2], *img.shape[2:])


def per_channel(pad_val: float | Sequence[float], img: np.ndarray) -> float | Sequence[float]:
    """A number for every channel: OpenCV takes a lone one for the first channel only."""
    if img.ndim == 2 or not isinstance(pad_val, (int, float)):
        return pad_val
    return (pad_val,) * img.shape[2]
