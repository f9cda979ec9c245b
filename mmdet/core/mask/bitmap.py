"""Instance masks as bitmaps."""

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import mmcv
import numpy as np
import torch
from mmcv.image.geometric import cv2_interp_codes
from torch import Tensor

from mmdet.core.mask.base import (
    FLIP_DIRECTIONS,
    BaseInstanceMasks,
    HWShape,
    check_direction,
    rotation_matrix,
    shear_matrix,
    translation_matrix,
)
from mmdet.ops import roi_align
from mmdet.utils.running.device_copy import send

FLIP_AXES: dict[str, int | tuple[int, int]] = dict(horizontal=2, vertical=1, diagonal=(1, 2))


class BitmapMasks(BaseInstanceMasks):
    """Masks as one array.

    Args:
        masks: (n, height, width) array, or a list of n arrays (height, width); values 0 and 1, any integer, bool or
            float kind.
        height: of the image, px.
        width: of the image, px.

    Raises:
        TypeError: ``masks`` is neither an array nor a list of arrays.
        ValueError: the masks' shape is not that of the image.
    """

    def __init__(self, masks: np.ndarray | list[np.ndarray], height: int, width: int) -> None:
        if not isinstance(masks, (np.ndarray, list, tuple)):
            raise TypeError(f'BitmapMasks: expected an array or a list of arrays, got {type(masks).__name__}')
        self.height, self.width = height, width
        if len(masks) == 0:
            dtype = masks.dtype if isinstance(masks, np.ndarray) else np.uint8
            self.masks = np.zeros((0, height, width), dtype=dtype)
            return
        self.masks = masks if isinstance(masks, np.ndarray) else np.stack(masks)
        if self.masks.shape[1:] != (height, width):
            raise ValueError(
                f'BitmapMasks: expected masks of shape (n, {height}, {width}), got {tuple(self.masks.shape)}'
            )

    def __len__(self) -> int:
        return len(self.masks)

    def __getitem__(self, index: Any) -> 'BitmapMasks':
        picked = self.masks[index]
        return BitmapMasks(picked.reshape(-1, self.height, self.width), self.height, self.width)

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.masks)

    def rescale(self, scale: float | tuple[int, int], interpolation: str = 'nearest') -> 'BitmapMasks':
        new_w, new_h = mmcv.rescale_size((self.width, self.height), scale)
        return self.resize((new_h, new_w), interpolation)

    def resize(self, out_shape: HWShape, interpolation: str = 'nearest') -> 'BitmapMasks':
        size_wh = tuple(out_shape)[::-1]
        return self._map(
            lambda mask: cv2.resize(mask, size_wh, interpolation=cv2_interp_codes[interpolation]), out_shape
        )

    def flip(self, flip_direction: str = 'horizontal') -> 'BitmapMasks':
        check_direction(flip_direction, FLIP_DIRECTIONS)
        return BitmapMasks(np.flip(self.masks, FLIP_AXES[flip_direction]).copy(), self.height, self.width)

    def pad(self, out_shape: HWShape, pad_val: int = 0) -> 'BitmapMasks':
        return self._paste(out_shape, 0, 0, pad_val)

    def crop(self, bbox: np.ndarray) -> 'BitmapMasks':
        x1, y1, w, h = crop_window(bbox, self.height, self.width)
        return BitmapMasks(self.masks[:, y1 : y1 + h, x1 : x1 + w].copy(), h, w)

    def crop_and_resize(
        self,
        bboxes: np.ndarray | Tensor,
        out_shape: HWShape,
        inds: np.ndarray | Tensor,
        device: str | torch.device = 'cpu',
        interpolation: str = 'bilinear',
        binarize: bool = True,
    ) -> 'BitmapMasks':
        resized = self.crop_and_resize_tensor(bboxes, out_shape, inds, device, binarize).cpu().numpy()
        return BitmapMasks(resized.astype(self.masks.dtype if binarize else np.float32), *out_shape)

    def crop_and_resize_tensor(
        self,
        bboxes: np.ndarray | Tensor,
        out_shape: HWShape,
        inds: np.ndarray | Tensor,
        device: str | torch.device = 'cpu',
        binarize: bool = True,
    ) -> Tensor:
        """As in the base class, by RoIAlign, so the masks of all boxes are made at once on ``device``."""
        boxes = torch.as_tensor(bboxes, device=device).float()
        if len(self) == 0 or len(boxes) == 0:
            return boxes.new_zeros((0, *out_shape))
        # as bytes over the bus, a quarter of what floats would take; only the picked ones become floats
        masks = send(torch.from_numpy(self.masks.astype(np.uint8, copy=False)), device)
        rois = torch.cat([torch.arange(len(boxes), device=device).to(boxes)[:, None], boxes], dim=1)
        # each box gets a copy of its mask as the "image" of its own in the batch
        picked = masks[torch.as_tensor(inds, device=device).long()].to(boxes)[:, None]
        resized = roi_align(picked, rois, (out_shape[0], out_shape[1]), 1.0, 0, 'avg', True)[:, 0]
        return (resized >= 0.5).to(boxes) if binarize else resized

    def expand(self, expanded_h: int, expanded_w: int, top: int, left: int) -> 'BitmapMasks':
        return self._paste((expanded_h, expanded_w), top, left, 0)

    def translate(
        self,
        out_shape: HWShape,
        offset: float,
        direction: str = 'horizontal',
        fill_val: int = 0,
        interpolation: str = 'bilinear',
    ) -> 'BitmapMasks':
        return self._warp(translation_matrix(offset, direction), out_shape, fill_val, interpolation)

    def shear(
        self,
        out_shape: HWShape,
        magnitude: float,
        direction: str = 'horizontal',
        border_value: int = 0,
        interpolation: str = 'bilinear',
    ) -> 'BitmapMasks':
        return self._warp(shear_matrix(magnitude, direction), out_shape, border_value, interpolation)

    def rotate(
        self,
        out_shape: HWShape,
        angle: float,
        center: tuple[float, float] | None = None,
        scale: float = 1.0,
        fill_val: int = 0,
    ) -> 'BitmapMasks':
        matrix = rotation_matrix((self.height, self.width), angle, center, scale)
        return self._warp(matrix, out_shape, fill_val, 'bilinear')

    @property
    def areas(self) -> np.ndarray:
        return self.masks.sum((1, 2))

    def get_bboxes(self) -> np.ndarray:
        filled = self.masks != 0
        x1, x2 = first_and_end(filled.any(1))
        y1, y2 = first_and_end(filled.any(2))
        return np.stack([x1, y1, x2, y2], axis=1).astype(np.float32)

    def to_ndarray(self) -> np.ndarray:
        return self.masks

    @classmethod
    def random(
        cls,
        num_masks: int = 3,
        height: int = 32,
        width: int = 32,
        dtype: type = np.uint8,
        rng: int | np.random.RandomState | None = None,
    ) -> 'BitmapMasks':
        """Made-up masks, each pixel set with probability 0.1; ``rng`` is a seed or a generator."""
        rng = rng if isinstance(rng, np.random.RandomState) else np.random.RandomState(rng)
        return cls((rng.rand(num_masks, height, width) > 0.9).astype(dtype), height, width)

    def _map(self, function: Callable[[np.ndarray], np.ndarray], out_shape: HWShape) -> 'BitmapMasks':
        """``function`` over each mask; bool masks go through it as uint8, as OpenCV has no bool."""
        if len(self) == 0:
            return BitmapMasks(self.masks, *out_shape)
        # a view, not a copy: bool and uint8 have one layout
        masks = self.masks.view(np.uint8) if self.masks.dtype == bool else self.masks
        return BitmapMasks(np.stack([function(mask) for mask in masks]).astype(self.masks.dtype), *out_shape)

    def _warp(self, matrix: np.ndarray, out_shape: HWShape, fill_val: int, interpolation: str) -> 'BitmapMasks':
        flags = cv2_interp_codes[interpolation]
        size_wh = tuple(out_shape)[::-1]
        return self._map(
            lambda mask: cv2.warpAffine(mask, matrix, size_wh, flags=flags, borderValue=fill_val), out_shape
        )

    def _paste(self, out_shape: HWShape, top: int, left: int, fill_val: int) -> 'BitmapMasks':
        if top + self.height > out_shape[0] or left + self.width > out_shape[1]:
            raise ValueError(
                f'masks of {self.height} x {self.width} px at ({top}, {left}) do not fit on {tuple(out_shape)} px'
            )
        canvas = np.full((len(self), *out_shape), fill_val, dtype=self.masks.dtype)
        canvas[:, top : top + self.height, left : left + self.width] = self.masks
        return BitmapMasks(canvas, *out_shape)


def crop_window(bbox: np.ndarray, height: int, width: int) -> tuple[int, int, int, int]:
    """A box (4,) cut to the image, as x1, y1, width and height in whole pixels, the latter two at least 1.

    Raises:
        ValueError: not one box of four numbers.
    """
    bbox = np.asarray(bbox)
    if bbox.shape != (4,):
        raise ValueError(f'crop: expected one box of shape (4,), got {bbox.shape}')
    x1, x2 = np.clip(bbox[0::2], 0, width).astype(int)
    y1, y2 = np.clip(bbox[1::2], 0, height).astype(int)
    return int(x1), int(y1), int(max(x2 - x1, 1)), int(max(y2 - y1, 1))


def first_and_end(filled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n, k) of bools -> first True and one past the last True of each (n,); 0 and 0 for rows without any."""
    if filled.shape[1] == 0:
        return np.zeros(len(filled), dtype=int), np.zeros(len(filled), dtype=int)
    first = filled.argmax(1)
    end = filled.shape[1] - filled[:, ::-1].argmax(1)
    return first, np.where(filled.any(1), end, 0)
