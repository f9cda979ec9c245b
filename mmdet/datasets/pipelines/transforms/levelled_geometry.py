"""Shear, Rotate and Translate with a level; the canvas keeps its size.

Each step draws whether and which way, and then warps images, boxes, masks and segmentation maps by one matrix (2, 3).
"""

from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.image.geometric import cv2_interp_codes

from mmdet.core.mask.base import check_direction, rotation_matrix, shear_matrix, translation_matrix
from mmdet.datasets.pipelines.boxes import clip_boxes, sides_above, warp_boxes
from mmdet.datasets.pipelines.instances import filter_instances
from mmdet.datasets.pipelines.keypoints import warp_result_keypoints
from mmdet.datasets.pipelines.transforms.levels import (
    as_fill,
    check_chance,
    check_level,
    level_to_value,
    random_negative,
)
from mmdet.datasets.registry import PIPELINES


def warp_array(
    img: np.ndarray, matrix: np.ndarray, fill: float | Sequence[float], interpolation: str = 'bilinear'
) -> np.ndarray:
    """Image or map (h, w, ...) warped by a matrix (2, 3) on its own canvas."""
    warped = cv2.warpAffine(img, matrix, img.shape[1::-1], flags=cv2_interp_codes[interpolation], borderValue=fill)
    return warped.reshape(img.shape)


def warp_results(
    results: dict, fields: str, matrix: np.ndarray, fill: float | Sequence[float], interpolation: str
) -> None:
    """Warp the arrays that are listed under ``fields``."""
    for key in results.get(fields, ['img'] if fields == 'img_fields' else []):
        results[key] = warp_array(results[key], matrix, fill, interpolation)


def warp_result_boxes(results: dict, matrix: np.ndarray) -> None:
    """Move all boxes and keypoints by a matrix (2, 3) and cut them to the image."""
    shape_hw = results['img_shape'][:2]
    for key in results.get('bbox_fields', []):
        results[key] = clip_boxes(warp_boxes(results[key], matrix), shape_hw)
    warp_result_keypoints(results, matrix, shape_hw)


def drop_small(results: dict, min_size: float) -> None:
    """Leave out objects whose edges are not both longer than ``min_size`` px."""
    for key in results.get('bbox_fields', []):
        filter_instances(results, sides_above(results[key], min_size), key)


@PIPELINES.register_module()
class Shear:
    """Shear the image.

    Args:
        level: in [0, 10].
        img_fill_val: colour of what comes in, a number or three.
        seg_ignore_label: what segmentation maps are filled with.
        prob: chance that anything is done.
        direction: 'horizontal' or 'vertical'.
        max_shear_magnitude: offset per px across the direction, at level 10; in [0, 1].
        random_negative_prob: chance of the opposite way.
        interpolation: of images.
    """

    def __init__(
        self,
        level: float,
        img_fill_val: float | Sequence[float] = 128,
        seg_ignore_label: int = 255,
        prob: float = 0.5,
        direction: str = 'horizontal',
        max_shear_magnitude: float = 0.3,
        random_negative_prob: float = 0.5,
        interpolation: str = 'bilinear',
    ) -> None:
        check_level(self, level, prob)
        check_direction(direction)
        check_chance('Shear', 'max_shear_magnitude', max_shear_magnitude)
        check_chance('Shear', 'random_negative_prob', random_negative_prob)
        self.level = level
        self.magnitude = level_to_value(level, max_shear_magnitude)
        self.img_fill_val = as_fill('Shear', img_fill_val)
        self.seg_ignore_label = seg_ignore_label
        self.prob = prob
        self.direction = direction
        self.max_shear_magnitude = max_shear_magnitude
        self.random_negative_prob = random_negative_prob
        self.interpolation = interpolation

    def _shear_img(
        self, results: dict, magnitude: float, direction: str = 'horizontal', interpolation: str = 'bilinear'
    ) -> None:
        warp_results(results, 'img_fields', shear_matrix(magnitude, direction), self.img_fill_val, interpolation)

    def _shear_bboxes(self, results: dict, magnitude: float) -> None:
        warp_result_boxes(results, shear_matrix(magnitude, self.direction))

    def _shear_masks(
        self,
        results: dict,
        magnitude: float,
        direction: str = 'horizontal',
        fill_val: int = 0,
        interpolation: str = 'bilinear',
    ) -> None:
        shape_hw = results['img_shape'][:2]
        for key in results.get('mask_fields', []):
            results[key] = results[key].shear(shape_hw, magnitude, direction, fill_val, interpolation)

    def _shear_seg(
        self,
        results: dict,
        magnitude: float,
        direction: str = 'horizontal',
        fill_val: int = 255,
        interpolation: str = 'bilinear',
    ) -> None:
        warp_results(results, 'seg_fields', shear_matrix(magnitude, direction), fill_val, interpolation)

    def _filter_invalid(self, results: dict, min_bbox_size: float = 0) -> None:
        drop_small(results, min_bbox_size)

    def __call__(self, results: dict) -> dict:
        if np.random.rand() > self.prob:
            return results
        magnitude = random_negative(self.magnitude, self.random_negative_prob)
        self._shear_img(results, magnitude, self.direction, self.interpolation)
        self._shear_bboxes(results, magnitude)
        self._shear_masks(results, magnitude, self.direction, interpolation=self.interpolation)
        # labels must not be mixed, so maps take the nearest pixel
        self._shear_seg(results, magnitude, self.direction, self.seg_ignore_label, 'nearest')
        self._filter_invalid(results)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(level={self.level}, img_fill_val={self.img_fill_val}, '
            f'seg_ignore_label={self.seg_ignore_label}, prob={self.prob}, direction={self.direction}, '
            f'max_shear_magnitude={self.max_shear_magnitude}, random_negative_prob={self.random_negative_prob}, '
            f'interpolation={self.interpolation})'
        )


@PIPELINES.register_module()
class Rotate:
    """Turn the image, clockwise for positive angles.

    Args:
        level: in [0, 10].
        scale: factor of the image's size.
        center: (x, y) in px; None: the middle of the image.
        img_fill_val: colour of what comes in, a number or three.
        seg_ignore_label: what segmentation maps are filled with.
        prob: chance that anything is done.
        max_rotate_angle: degrees at level 10.
        random_negative_prob: chance of the opposite way.
    """

    def __init__(
        self,
        level: float,
        scale: float = 1,
        center: tuple[float, float] | None = None,
        img_fill_val: float | Sequence[float] = 128,
        seg_ignore_label: int = 255,
        prob: float = 0.5,
        max_rotate_angle: float = 30,
        random_negative_prob: float = 0.5,
    ) -> None:
        check_level(self, level, prob)
        check_chance('Rotate', 'random_negative_prob', random_negative_prob)
        if not isinstance(scale, (int, float)) or scale <= 0:
            raise ValueError(f'Rotate: scale must be a number above 0, got {scale!r}')
        if center is not None and (not isinstance(center, (list, tuple)) or len(center) != 2):
            raise ValueError(f'Rotate: center must be None or (x, y) in px, got {center!r}')
        self.level = level
        self.scale = scale
        self.center = center
        self.angle = level_to_value(level, max_rotate_angle)
        self.img_fill_val = as_fill('Rotate', img_fill_val)
        self.seg_ignore_label = seg_ignore_label
        self.prob = prob
        self.max_rotate_angle = max_rotate_angle
        self.random_negative_prob = random_negative_prob

    def _rotate_img(
        self, results: dict, angle: float, center: tuple[float, float] | None = None, scale: float = 1.0
    ) -> None:
        matrix = rotation_matrix(results['img_shape'][:2], angle, center, scale)
        warp_results(results, 'img_fields', matrix, self.img_fill_val, 'bilinear')

    def _rotate_bboxes(self, results: dict, rotate_matrix: np.ndarray) -> None:
        warp_result_boxes(results, rotate_matrix)

    def _rotate_masks(
        self,
        results: dict,
        angle: float,
        center: tuple[float, float] | None = None,
        scale: float = 1.0,
        fill_val: int = 0,
    ) -> None:
        shape_hw = results['img_shape'][:2]
        for key in results.get('mask_fields', []):
            results[key] = results[key].rotate(shape_hw, angle, center, scale, fill_val)

    def _rotate_seg(
        self,
        results: dict,
        angle: float,
        center: tuple[float, float] | None = None,
        scale: float = 1.0,
        fill_val: int = 255,
    ) -> None:
        matrix = rotation_matrix(results['img_shape'][:2], angle, center, scale)
        warp_results(results, 'seg_fields', matrix, fill_val, 'nearest')

    def _filter_invalid(self, results: dict, min_bbox_size: float = 0) -> None:
        drop_small(results, min_bbox_size)

    def __call__(self, results: dict) -> dict:
        if np.random.rand() > self.prob:
            return results
        height, width = results['img'].shape[:2]
        center = self.center or ((width - 1) * 0.5, (height - 1) * 0.5)
        angle = random_negative(self.angle, self.random_negative_prob)
        self._rotate_img(results, angle, center, self.scale)
        self._rotate_bboxes(results, rotation_matrix((height, width), angle, center, self.scale))
        self._rotate_masks(results, angle, center, self.scale, fill_val=0)
        self._rotate_seg(results, angle, center, self.scale, fill_val=self.seg_ignore_label)
        self._filter_invalid(results)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(level={self.level}, scale={self.scale}, center={self.center}, '
            f'img_fill_val={self.img_fill_val}, seg_ignore_label={self.seg_ignore_label}, prob={self.prob}, '
            f'max_rotate_angle={self.max_rotate_angle}, random_negative_prob={self.random_negative_prob})'
        )


@PIPELINES.register_module()
class Translate:
    """Move the image by whole pixels.

    Args:
        level: in [0, 10].
        prob: chance that anything is done.
        img_fill_val: colour of what comes in, a number or three.
        seg_ignore_label: what segmentation maps are filled with.
        direction: 'horizontal' or 'vertical'.
        max_translate_offset: px at level 10.
        random_negative_prob: chance of the opposite way.
        min_size: objects are kept whose edges inside the image are longer than this, px.
    """

    def __init__(
        self,
        level: float,
        prob: float = 0.5,
        img_fill_val: float | Sequence[float] = 128,
        seg_ignore_label: int = 255,
        direction: str = 'horizontal',
        max_translate_offset: float = 250.0,
        random_negative_prob: float = 0.5,
        min_size: float = 0,
    ) -> None:
        check_level(self, level, prob)
        check_direction(direction)
        check_chance('Translate', 'random_negative_prob', random_negative_prob)
        self.level = level
        self.prob = prob
        self.img_fill_val = as_fill('Translate', img_fill_val)
        self.seg_ignore_label = seg_ignore_label
        self.direction = direction
        self.max_translate_offset = max_translate_offset
        self.offset = int(level_to_value(level, max_translate_offset))
        self.random_negative_prob = random_negative_prob
        self.min_size = min_size

    def _translate_img(self, results: dict, offset: float, direction: str = 'horizontal') -> None:
        warp_results(results, 'img_fields', translation_matrix(offset, direction), self.img_fill_val, 'bilinear')

    def _translate_bboxes(self, results: dict, offset: float) -> None:
        warp_result_boxes(results, translation_matrix(offset, self.direction))

    def _translate_masks(self, results: dict, offset: float, direction: str = 'horizontal', fill_val: int = 0) -> None:
        shape_hw = results['img_shape'][:2]
        for key in results.get('mask_fields', []):
            results[key] = results[key].translate(shape_hw, offset, direction, fill_val)

    def _translate_seg(self, results: dict, offset: float, direction: str = 'horizontal', fill_val: int = 255) -> None:
        warp_results(results, 'seg_fields', translation_matrix(offset, direction), fill_val, 'nearest')

    def _filter_invalid(self, results: dict, min_size: float = 0) -> None:
        drop_small(results, min_size)

    def __call__(self, results: dict) -> dict:
        if np.random.rand() > self.prob:
            return results
        offset = random_negative(self.offset, self.random_negative_prob)
        self._translate_img(results, offset, self.direction)
        self._translate_bboxes(results, offset)
        self._translate_masks(results, offset, self.direction)
        self._translate_seg(results, offset, self.direction, self.seg_ignore_label)
        self._filter_invalid(results, self.min_size)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(level={self.level}, prob={self.prob}, img_fill_val={self.img_fill_val}, '
            f'seg_ignore_label={self.seg_ignore_label}, direction={self.direction}, '
            f'max_translate_offset={self.max_translate_offset}, random_negative_prob={self.random_negative_prob}, '
            f'min_size={self.min_size})'
        )
