"""Flipping."""

from collections.abc import Sequence

import cv2
import mmcv
import numpy as np

from mmdet.core.mask.base import FLIP_DIRECTIONS, check_direction
from mmdet.datasets.pipelines.boxes import flip_boxes
from mmdet.datasets.pipelines.formatting import OPENCV_KINDS
from mmdet.datasets.pipelines.keypoints import FLIP_INDICES, KEYPOINTS, flip_keypoints
from mmdet.datasets.registry import PIPELINES

OPENCV_FLIPS = dict(horizontal=1, vertical=0, diagonal=-1)


@PIPELINES.register_module()
class RandomFlip:
    """Flip images, boxes, keypoints, masks and segmentation maps, with a chance.

    Where a step before has set ``flip`` and ``flip_direction``, these hold and nothing is drawn. Sets both otherwise;
    the direction is None where nothing is flipped.

    ================ ================ ===========================================================================
    flip_ratio       direction        chances
    ================ ================ ===========================================================================
    a number         a name           the number
    a number         a list           the number in all, the same for each direction
    a list           a list           each direction its own; what is missing to 1 is the chance of no flip
    None                              no flip but where a step before asks for one
    ================ ================ ===========================================================================

    Args:
        flip_ratio: chance, or list of chances, that add up to at most 1.
        direction: 'horizontal', 'vertical', 'diagonal' (both at once), or a list of them.

    Raises:
        ValueError: impossible chances, lists of unequal length or an unknown direction.
    """

    def __init__(
        self, flip_ratio: float | Sequence[float] | None = None, direction: str | Sequence[str] = 'horizontal'
    ) -> None:
        self.flip_ratio = flip_ratio
        self.direction = direction
        self._directions = [direction] if isinstance(direction, str) else list(direction)
        for name in self._directions:
            check_direction(name, FLIP_DIRECTIONS)
        self._chances = chances_of(flip_ratio, len(self._directions))

    def bbox_flip(self, bboxes: np.ndarray, img_shape: tuple[int, ...], direction: str) -> np.ndarray:
        """Boxes (..., 4) on the flipped image of ``img_shape`` (h, w, ...)."""
        return flip_boxes(bboxes, img_shape, direction)

    def sample(self) -> str | None:
        """Draw a direction, or None for no flip."""
        drawn = np.random.choice(len(self._chances), p=self._chances)
        return [*self._directions, None][drawn]

    def __call__(self, results: dict) -> dict:
        if 'flip' not in results:
            direction = self.sample()
            results['flip'] = direction is not None
            results.setdefault('flip_direction', direction)
        elif 'flip_direction' not in results:
            results['flip_direction'] = self._directions[0] if results['flip'] else None
        if results['flip']:
            self._flip(results, results['flip_direction'])
        return results

    def _flip(self, results: dict, direction: str) -> None:
        # boxes go by the image itself: img_shape leaves out the padding, which is flipped too
        img_keys = results.get('img_fields', ['img'])
        shape = results[img_keys[0]].shape if img_keys else results['img_shape']
        for key in img_keys:
            results[key] = flip_image(results[key], direction)
        for key in results.get('bbox_fields', []):
            results[key] = self.bbox_flip(results[key], shape, direction)
        if KEYPOINTS in results:
            results[KEYPOINTS] = flip_keypoints(results[KEYPOINTS], shape, direction, results[FLIP_INDICES])
        for key in results.get('mask_fields', []):
            results[key] = results[key].flip(direction)
        for key in results.get('seg_fields', []):
            results[key] = flip_image(results[key], direction)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(flip_ratio={self.flip_ratio})'


def flip_image(img: np.ndarray, direction: str) -> np.ndarray:
    """Image (h, w) or (h, w, c) flipped, as a contiguous array.

    A view with negative strides would make no tensor, and each later step would copy it pixel by pixel.
    """
    if img.dtype in OPENCV_KINDS and img.ndim <= 3 and img.shape[2:] <= (4,):
        # OpenCV drops the axis of a single channel
        return cv2.flip(img, OPENCV_FLIPS[direction]).reshape(img.shape)
    return np.ascontiguousarray(mmcv.imflip(img, direction=direction))


def chances_of(flip_ratio: float | Sequence[float] | None, num_directions: int) -> list[float]:
    """Chances of the directions, and last that of no flip.

    Raises:
        ValueError: see :class:`RandomFlip`.
    """
    if flip_ratio is None or isinstance(flip_ratio, (int, float)):
        chances = [(flip_ratio or 0.0) / num_directions] * num_directions
    else:
        chances = list(flip_ratio)
    if len(chances) != num_directions:
        raise ValueError(f'RandomFlip: {len(chances)} chances in flip_ratio for {num_directions} directions')
    total = sum(chances)
    if min(chances) < 0 or total > 1 + 1e-8:
        raise ValueError(f'RandomFlip: flip_ratio must be in [0, 1] and add up to at most 1, got {flip_ratio!r}')
    return [*chances, max(1 - total, 0.0)]
