"""What every container of instance masks can do.

Conventions of this package: ``n`` masks of one image whose size is ``height`` x ``width`` pixels; shapes are (h, w);
boxes are (x1, y1, x2, y2) in pixels, where x2 and y2 are exclusive edges. Every operation gives a new container and
leaves the old one as it was.
"""

from abc import ABCMeta, abstractmethod
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from mmdet.utils.registry import did_you_mean
from mmdet.utils.running.device_copy import to_device

HWShape = tuple[int, int]
DIRECTIONS = ('horizontal', 'vertical')
FLIP_DIRECTIONS = (*DIRECTIONS, 'diagonal')


class BaseInstanceMasks(metaclass=ABCMeta):
    """Masks of the instances of one image."""

    height: int
    width: int

    @abstractmethod
    def __len__(self) -> int:
        """Number of masks."""

    @abstractmethod
    def __getitem__(self, index: Any) -> 'BaseInstanceMasks':
        """Container of the masks that an int, a slice, a list or an array of numbers or bools picks."""

    @abstractmethod
    def __iter__(self) -> Iterator:
        """The masks one by one, in the form that the container holds."""

    def __repr__(self) -> str:
        return f'{type(self).__name__}(num_masks={len(self)}, height={self.height}, width={self.width})'

    @abstractmethod
    def rescale(self, scale: float | tuple[int, int], interpolation: str = 'nearest') -> 'BaseInstanceMasks':
        """Masks scaled with their aspect ratio kept: by a factor, or to the largest size inside ``scale`` px."""

    @abstractmethod
    def resize(self, out_shape: HWShape, interpolation: str = 'nearest') -> 'BaseInstanceMasks':
        """Masks scaled to ``out_shape``, whatever their aspect ratio."""

    @abstractmethod
    def flip(self, flip_direction: str = 'horizontal') -> 'BaseInstanceMasks':
        """Masks mirrored: 'horizontal' (left and right change), 'vertical' or 'diagonal' (both)."""

    @abstractmethod
    def pad(self, out_shape: HWShape, pad_val: int) -> 'BaseInstanceMasks':
        """Masks on a larger image, which has grown at the right and the bottom."""

    @abstractmethod
    def crop(self, bbox: np.ndarray) -> 'BaseInstanceMasks':
        """The part inside a box (4,) in whole pixels, which is first cut to the image; at least 1 x 1 px."""

    @abstractmethod
    def crop_and_resize(
        self,
        bboxes: np.ndarray | Tensor,
        out_shape: HWShape,
        inds: np.ndarray | Tensor,
        device: str | torch.device,
        interpolation: str = 'bilinear',
        binarize: bool = True,
    ) -> 'BaseInstanceMasks':
        """The part of mask ``inds[i]`` inside ``bboxes[i]``, scaled to ``out_shape``, for each of the k boxes.

        Args:
            bboxes: (k, 4).
            inds: (k,) number of the mask that goes with the box.
            device: where the work is done, as far as it is done by torch.
            binarize: round to 0 and 1; otherwise the masks are soft, in [0, 1].
        """

    def crop_and_resize_tensor(
        self,
        bboxes: np.ndarray | Tensor,
        out_shape: HWShape,
        inds: np.ndarray | Tensor,
        device: str | torch.device,
        binarize: bool = True,
    ) -> Tensor:
        """As :meth:`crop_and_resize`, but a float32 tensor (k, h, w) on ``device``."""
        masks = self.crop_and_resize(bboxes, out_shape, inds, device, binarize=binarize)
        return masks.to_tensor(torch.float32, device)

    @abstractmethod
    def expand(self, expanded_h: int, expanded_w: int, top: int, left: int) -> 'BaseInstanceMasks':
        """Masks on a larger image, with their upper left corner at (top, left)."""

    @property
    @abstractmethod
    def areas(self) -> np.ndarray:
        """(n,) areas in square pixels."""

    @abstractmethod
    def get_bboxes(self) -> np.ndarray:
        """(n, 4) float32, the smallest boxes around the masks; zeros for an empty mask."""

    @abstractmethod
    def to_ndarray(self) -> np.ndarray:
        """(n, h, w) bitmaps."""

    def to_tensor(self, dtype: torch.dtype, device: str | torch.device) -> Tensor:
        """(n, h, w) bitmaps as a tensor."""
        return to_device(self.to_ndarray(), dtype, torch.device(device))

    @abstractmethod
    def translate(
        self,
        out_shape: HWShape,
        offset: float,
        direction: str = 'horizontal',
        fill_val: int = 0,
        interpolation: str = 'bilinear',
    ) -> 'BaseInstanceMasks':
        """Masks moved by ``offset`` px, to the right ('horizontal') or down ('vertical') where it is positive."""

    @abstractmethod
    def shear(
        self,
        out_shape: HWShape,
        magnitude: float,
        direction: str = 'horizontal',
        border_value: int = 0,
        interpolation: str = 'bilinear',
    ) -> 'BaseInstanceMasks':
        """Masks sheared: x grows by ``magnitude * y`` ('horizontal') or y by ``magnitude * x`` ('vertical')."""

    @abstractmethod
    def rotate(
        self,
        out_shape: HWShape,
        angle: float,
        center: tuple[float, float] | None = None,
        scale: float = 1.0,
        fill_val: int = 0,
    ) -> 'BaseInstanceMasks':
        """Masks turned clockwise by ``angle`` degrees about ``center`` (x, y), by default the image's middle."""


def check_direction(direction: str, known: tuple[str, ...] = DIRECTIONS) -> None:
    """Check the name of a direction.

    Raises:
        ValueError: it is not one of ``known``.
    """
    if direction not in known:
        raise ValueError(f'direction: expected one of {known}, got {direction!r}{did_you_mean(str(direction), known)}')


def translation_matrix(offset: float, direction: str) -> np.ndarray:
    """(2, 3) matrix that moves points by ``offset`` px along the axis."""
    check_direction(direction)
    offset_xy = (offset, 0) if direction == 'horizontal' else (0, offset)
    return np.array([[1, 0, offset_xy[0]], [0, 1, offset_xy[1]]], dtype=np.float32)


def shear_matrix(magnitude: float, direction: str) -> np.ndarray:
    """(2, 3) matrix that shears points along the axis."""
    check_direction(direction)
    shear_xy = (magnitude, 0) if direction == 'horizontal' else (0, magnitude)
    return np.array([[1, shear_xy[0], 0], [shear_xy[1], 1, 0]], dtype=np.float32)


def rotation_matrix(
    size_hw: HWShape, angle: float, center: tuple[float, float] | None = None, scale: float = 1.0
) -> np.ndarray:
    """(2, 3) matrix that turns points clockwise by ``angle`` degrees about ``center`` and scales them.

    The default centre is the middle between the first and the last pixel centre.
    """
    if center is None:
        center = ((size_hw[1] - 1) * 0.5, (size_hw[0] - 1) * 0.5)
    return cv2.getRotationMatrix2D(center, -angle, scale)
