"""RandomAffine."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from mmdet.datasets.pipelines.boxes import clip_boxes, inside_image, usable_after_warp, warp_boxes
from mmdet.datasets.pipelines.instances import filter_instances
from mmdet.datasets.pipelines.keypoints import warp_result_keypoints
from mmdet.datasets.registry import PIPELINES


@PIPELINES.register_module()
class RandomAffine:
    """Turn, scale, shear and move the image by one matrix (YOLOX, https://arxiv.org/abs/2107.08430).

    Args:
        max_rotate_degree: largest turn either way, degrees.
        max_translate_ratio: largest move either way, as a fraction of the image's edge.
        scaling_ratio_range: smallest and largest factor.
        max_shear_degree: largest shear either way along each axis, degrees.
        border: (rows, columns) that the canvas grows by on each side; negative numbers shrink it, as after ``Mosaic``.
        border_val: colour of what comes in.
        min_bbox_size: see ``skip_filter``.
        min_area_ratio: see ``skip_filter``.
        max_aspect_ratio: see ``skip_filter``.
        bbox_clip_border: cut boxes to the image.
        skip_filter: keep all objects that touch the image; False: only those with edges longer than ``min_bbox_size``
            px, more than ``min_area_ratio`` of their area left, and edges of a ratio below ``max_aspect_ratio``.

    Raises:
        ValueError: an impossible range.
    """

    def __init__(
        self,
        max_rotate_degree: float = 10.0,
        max_translate_ratio: float = 0.1,
        scaling_ratio_range: tuple[float, float] = (0.5, 1.5),
        max_shear_degree: float = 2.0,
        border: tuple[int, int] = (0, 0),
        border_val: Sequence[float] = (114, 114, 114),
        min_bbox_size: float = 2,
        min_area_ratio: float = 0.2,
        max_aspect_ratio: float = 20,
        bbox_clip_border: bool = True,
        skip_filter: bool = True,
    ) -> None:
        if not 0 <= max_translate_ratio <= 1:
            raise ValueError(f'RandomAffine: max_translate_ratio must be in [0, 1], got {max_translate_ratio}')
        if not 0 < scaling_ratio_range[0] <= scaling_ratio_range[1]:
            raise ValueError(
                f'RandomAffine: scaling_ratio_range must be (smallest, largest) above 0, got {scaling_ratio_range}'
            )
        self.max_rotate_degree = max_rotate_degree
        self.max_translate_ratio = max_translate_ratio
        self.scaling_ratio_range = scaling_ratio_range
        self.max_shear_degree = max_shear_degree
        self.border = border
        self.border_val = border_val
        self.min_bbox_size = min_bbox_size
        self.min_area_ratio = min_area_ratio
        self.max_aspect_ratio = max_aspect_ratio
        self.bbox_clip_border = bbox_clip_border
        self.skip_filter = skip_filter

    def sample(self, shape_hw: tuple[int, int]) -> tuple[np.ndarray, float]:
        """Draw a matrix (3, 3) for a canvas (h, w), and the factor in it."""
        rotate_degrees = np.random.uniform(-self.max_rotate_degree, self.max_rotate_degree)
        scale = np.random.uniform(*self.scaling_ratio_range)
        x_shear, y_shear = (np.random.uniform(-self.max_shear_degree, self.max_shear_degree) for _ in range(2))
        limit = self.max_translate_ratio
        move_x = np.random.uniform(-limit, limit) * shape_hw[1]
        move_y = np.random.uniform(-limit, limit) * shape_hw[0]
        # applied from right to left: moved last, so that moves are fractions of the canvas whatever the scale
        matrix = (
            self._get_translation_matrix(move_x, move_y)
            @ self._get_shear_matrix(x_shear, y_shear)
            @ self._get_rotation_matrix(rotate_degrees)
            @ self._get_scaling_matrix(scale)
        )
        return matrix, scale

    def __call__(self, results: dict) -> dict:
        if 'gt_masks' in results:
            raise NotImplementedError('RandomAffine works on boxes only, and there are masks')
        img = results['img']
        shape_hw = (img.shape[0] + self.border[0] * 2, img.shape[1] + self.border[1] * 2)
        matrix, scale = self.sample(shape_hw)
        results['img'] = cv2.warpPerspective(img, matrix, dsize=shape_hw[::-1], borderValue=self.border_val)
        results['img_shape'] = results['img'].shape
        for key in results.get('bbox_fields', []):
            before = results[key]
            after = warp_boxes(before, matrix)
            results[key] = clip_boxes(after, shape_hw) if self.bbox_clip_border else after
            keep = inside_image(results[key], shape_hw)
            if not self.skip_filter:
                # against the scaled area: an image that is made smaller has not lost a part of its objects
                keep &= self.filter_gt_bboxes(before * scale, results[key])
            filter_instances(results, keep, key)
        warp_result_keypoints(results, matrix, shape_hw)
        return results

    def filter_gt_bboxes(self, origin_bboxes: np.ndarray, wrapped_bboxes: np.ndarray) -> np.ndarray:
        """(n,) bool, which boxes are still worth something; see ``skip_filter``."""
        return usable_after_warp(
            origin_bboxes, wrapped_bboxes, self.min_bbox_size, self.min_area_ratio, self.max_aspect_ratio
        )

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(max_rotate_degree={self.max_rotate_degree}, '
            f'max_translate_ratio={self.max_translate_ratio}, scaling_ratio_range={self.scaling_ratio_range}, '
            f'max_shear_degree={self.max_shear_degree}, border={self.border}, border_val={self.border_val}, '
            f'min_bbox_size={self.min_bbox_size}, min_area_ratio={self.min_area_ratio}, '
            f'max_aspect_ratio={self.max_aspect_ratio}, skip_filter={self.skip_filter})'
        )

    @staticmethod
    def _get_rotation_matrix(rotate_degrees: float) -> np.ndarray:
        radian = math.radians(rotate_degrees)
        cos, sin = math.cos(radian), math.sin(radian)
        return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], dtype=np.float32)

    @staticmethod
    def _get_scaling_matrix(scale_ratio: float) -> np.ndarray:
        return np.diag([scale_ratio, scale_ratio, 1]).astype(np.float32)

    @staticmethod
    def _get_share_matrix(scale_ratio: float) -> np.ndarray:
        """The former name of :meth:`_get_scaling_matrix`."""
        return RandomAffine._get_scaling_matrix(scale_ratio)

    @staticmethod
    def _get_shear_matrix(x_shear_degrees: float, y_shear_degrees: float) -> np.ndarray:
        x_shear, y_shear = math.tan(math.radians(x_shear_degrees)), math.tan(math.radians(y_shear_degrees))
        return np.array([[1, x_shear, 0], [y_shear, 1, 0], [0, 0, 1]], dtype=np.float32)

    @staticmethod
    def _get_translation_matrix(x: float, y: float) -> np.ndarray:
        return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], dtype=np.float32)
