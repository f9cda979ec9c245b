"""Instance masks as polygons."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import mmcv
import numpy as np
import torch
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
from mmdet.core.mask.bitmap import BitmapMasks, crop_window
from mmdet.core.mask.conversion import polygon_to_bitmap

Polygon = np.ndarray  # (2 * k,), x and y in turn, px


class PolygonMasks(BaseInstanceMasks):
    """Masks as outlines: n objects, each the union of its polygons.

    Args:
        masks: for each object the list of its polygons, each (2 * k,), x and y in turn, in pixels.
        height: of the image, px.
        width: of the image, px.

    Raises:
        TypeError: ``masks`` is not a list of lists.
        ValueError: a polygon has no points, or an odd number of coordinates.
    """

    def __init__(self, masks: list[list[Polygon]], height: int, width: int) -> None:
        if not isinstance(masks, (list, tuple)) or not all(isinstance(m, (list, tuple)) for m in masks):
            raise TypeError('PolygonMasks: expected for each object a list of its polygons (a list of lists of arrays)')
        wrong = [i for i, mask in enumerate(masks) for polygon in mask if np.size(polygon) == 0 or np.size(polygon) % 2]
        if wrong:
            raise ValueError(
                f'PolygonMasks: object {wrong[0]} has a polygon without points, or one with half a point; expected '
                '(2 * k,) numbers, x and y in turn'
            )
        self.height, self.width = height, width
        self.masks = [[np.array(polygon) for polygon in mask] for mask in masks]

    def __len__(self) -> int:
        return len(self.masks)

    def __getitem__(self, index: Any) -> 'PolygonMasks':
        if isinstance(index, np.ndarray) and not index.size:
            index = index.astype(np.int64)  # nothing, of whatever type
        picked = np.atleast_1d(np.arange(len(self))[index])
        return PolygonMasks([self.masks[i] for i in picked], self.height, self.width)

    def __iter__(self) -> Iterator[list[Polygon]]:
        return iter(self.masks)

    def rescale(self, scale: float | tuple[int, int], interpolation: str | None = None) -> 'PolygonMasks':
        new_w, new_h = mmcv.rescale_size((self.width, self.height), scale)
        return self.resize((new_h, new_w))

    def resize(self, out_shape: HWShape, interpolation: str | None = None) -> 'PolygonMasks':
        factor_xy = np.array([out_shape[1] / self.width, out_shape[0] / self.height])
        return self._map(lambda points: points * factor_xy, out_shape)

    def flip(self, flip_direction: str = 'horizontal') -> 'PolygonMasks':
        check_direction(flip_direction, FLIP_DIRECTIONS)
        flips_xy = np.array([flip_direction != 'vertical', flip_direction != 'horizontal'])
        size_wh = np.array([self.width, self.height])
        return self._map(lambda points: np.where(flips_xy, size_wh - points, points), (self.height, self.width))

    def pad(self, out_shape: HWShape, pad_val: int = 0) -> 'PolygonMasks':
        """As in the base class; polygons have nothing to fill."""
        return PolygonMasks(self.masks, *out_shape)

    def crop(self, bbox: np.ndarray) -> 'PolygonMasks':
        """As in the base class; what reaches beyond the box is kept and only left out of bitmaps."""
        x1, y1, w, h = crop_window(bbox, self.height, self.width)
        return self._map(lambda points: points - np.array([x1, y1]), (h, w))

    def crop_and_resize(
        self,
        bboxes: np.ndarray | Tensor,
        out_shape: HWShape,
        inds: np.ndarray | Tensor,
        device: str | torch.device = 'cpu',
        interpolation: str = 'bilinear',
        binarize: bool = True,
    ) -> 'PolygonMasks':
        """As in the base class; always exact outlines, so ``binarize`` must be True.

        Raises:
            ValueError: ``binarize`` is False.
        """
        if not binarize:
            raise ValueError('PolygonMasks gives no soft masks: use binarize=True, or load bitmaps (poly2mask=True)')
        if len(self) == 0:
            return PolygonMasks([], *out_shape)
        bboxes, inds = torch.as_tensor(bboxes).cpu().numpy(), torch.as_tensor(inds).cpu().numpy()
        sizes_wh = np.maximum(bboxes[:, 2:] - bboxes[:, :2], 1)
        factors_xy = np.array(out_shape[::-1]) / sizes_wh

        def inside(points: np.ndarray, box: np.ndarray, factor: np.ndarray) -> np.ndarray:
            return (points - box[:2]) * factor

        return PolygonMasks(
            [
                [transform_polygon(p, partial(inside, box=box, factor=factor)) for p in self.masks[i]]
                for box, factor, i in zip(bboxes, factors_xy, inds)
            ],
            *out_shape,
        )

    def expand(self, expanded_h: int, expanded_w: int, top: int, left: int) -> 'PolygonMasks':
        return self._map(lambda points: points + np.array([left, top]), (expanded_h, expanded_w))

    def translate(
        self,
        out_shape: HWShape,
        offset: float,
        direction: str = 'horizontal',
        fill_val: int | None = None,
        interpolation: str | None = None,
    ) -> 'PolygonMasks':
        """As in the base class; outlines are cut to the image by clipping their points. ``fill_val`` must be 0.

        Raises:
            ValueError: another ``fill_val``; polygons have nothing to fill.
        """
        if fill_val:
            raise ValueError(f'PolygonMasks.translate: fill_val must be 0 or None, got {fill_val!r}')
        return self._affine(translation_matrix(offset, direction), out_shape)

    def shear(
        self,
        out_shape: HWShape,
        magnitude: float,
        direction: str = 'horizontal',
        border_value: int = 0,
        interpolation: str = 'bilinear',
    ) -> 'PolygonMasks':
        return self._affine(shear_matrix(magnitude, direction), out_shape)

    def rotate(
        self,
        out_shape: HWShape,
        angle: float,
        center: tuple[float, float] | None = None,
        scale: float = 1.0,
        fill_val: int = 0,
    ) -> 'PolygonMasks':
        """As in the base class, but without ``center`` about the upper left corner of the image.

        Numbers made with mmdetection 2.x hold that; give the centre to turn polygons as bitmaps are turned.
        """
        center = (0, 0) if center is None else center
        return self._affine(rotation_matrix((self.height, self.width), angle, center, scale), out_shape)

    def to_bitmap(self) -> BitmapMasks:
        """The same masks as bitmaps."""
        return BitmapMasks(self.to_ndarray(), self.height, self.width)

    @property
    def areas(self) -> np.ndarray:
        """(n,) sums of the polygons' areas in square pixels; where polygons overlap both count."""
        return np.array([sum(self._polygon_area(p[0::2], p[1::2]) for p in mask) for mask in self.masks])

    def _polygon_area(self, x: np.ndarray, y: np.ndarray) -> float:
        """Area of one polygon from its corners (k,) and (k,), by the shoelace formula."""
        return 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))

    def get_bboxes(self) -> np.ndarray:
        return np.array([polygons_box(mask) for mask in self.masks], dtype=np.float32).reshape(-1, 4)

    def to_ndarray(self) -> np.ndarray:
        """(n, h, w) bool."""
        bitmaps = [polygon_to_bitmap(mask, self.height, self.width) for mask in self.masks]
        return np.stack(bitmaps) if bitmaps else np.zeros((0, self.height, self.width), dtype=bool)

    @classmethod
    def random(
        cls,
        num_masks: int = 3,
        height: int = 32,
        width: int = 32,
        n_verts: int = 5,
        dtype: type = np.float32,
        rng: int | np.random.RandomState | None = None,
    ) -> 'PolygonMasks':
        """Made-up star-shaped polygons with ``n_verts`` corners inside the image; ``rng`` as for bitmaps."""
        rng = rng if isinstance(rng, np.random.RandomState) else np.random.RandomState(rng)
        size_wh = np.array([width, height])
        angles = np.sort(rng.rand(num_masks, n_verts, 1) * 2 * np.pi, axis=1)
        radii = rng.rand(num_masks, n_verts, 1) * 0.4 + 0.1
        points = (0.5 + radii * np.concatenate([np.cos(angles), np.sin(angles)], axis=2)) * size_wh
        return cls([[p.reshape(-1).astype(dtype)] for p in points], height, width)

    def _map(self, function: Callable[[np.ndarray], np.ndarray], out_shape: HWShape) -> 'PolygonMasks':
        """``function`` over the points (k, 2) of each polygon."""
        return PolygonMasks([[transform_polygon(p, function) for p in mask] for mask in self.masks], *out_shape)

    def _affine(self, matrix: np.ndarray, out_shape: HWShape) -> 'PolygonMasks':
        size_wh = np.array(out_shape[::-1])
        return self._map(lambda points: np.clip(points @ matrix[:, :2].T + matrix[:, 2], 0, size_wh), out_shape)


def transform_polygon(polygon: Polygon, function: Callable[[np.ndarray], np.ndarray]) -> Polygon:
    """``function`` over the corners (k, 2) of one polygon (2 * k,)."""
    return function(polygon.reshape(-1, 2)).reshape(-1)


def polygons_box(polygons: list[Polygon]) -> np.ndarray:
    """(4,) the smallest box around all polygons of one object; zeros without any."""
    if not polygons:
        return np.zeros(4)
    points = np.concatenate(polygons).reshape(-1, 2)
    return np.concatenate([points.min(0), points.max(0)])
