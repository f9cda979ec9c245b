"""Moves of the whole image on its canvas: Expand and RandomShift."""

from collections.abc import Sequence

import numpy as np

from mmdet.datasets.pipelines.boxes import clip_boxes, shift_boxes, sides_above
from mmdet.datasets.pipelines.instances import check_one_image, filter_instances
from mmdet.datasets.pipelines.keypoints import shift_result_keypoints
from mmdet.datasets.registry import PIPELINES


@PIPELINES.register_module()
class Expand:
    """Put the image on a larger canvas, at a place that is drawn (SSD, https://arxiv.org/abs/1512.02325).

    ``img_shape`` stays as it is, which recorded numbers of mmdetection 2.x hold; a ``Resize`` or a crop after this step
    sets it, and steps here go by the image itself.

    Args:
        mean: colour of the canvas, in RGB.
        to_rgb: the image is BGR, so the colour is turned round; False: it is in the image's order.
        ratio_range: smallest and largest factor of the edges.
        seg_ignore_label: what segmentation maps are filled with; needed where there are any.
        prob: chance that anything is done.
    """

    def __init__(
        self,
        mean: Sequence[float] = (0, 0, 0),
        to_rgb: bool = True,
        ratio_range: tuple[float, float] = (1, 4),
        seg_ignore_label: int | None = None,
        prob: float = 0.5,
    ) -> None:
        self.to_rgb = to_rgb
        self.ratio_range = ratio_range
        self.mean = mean[::-1] if to_rgb else mean
        self.min_ratio, self.max_ratio = ratio_range
        self.seg_ignore_label = seg_ignore_label
        self.prob = prob

    def sample(self, shape_hw: tuple[int, int]) -> tuple[tuple[int, int], int, int] | None:
        """Draw the canvas (h, w) and the top and left of the image on it; None for nothing to do."""
        if np.random.uniform(0, 1) > self.prob:
            return None
        height, width = shape_hw
        ratio = np.random.uniform(self.min_ratio, self.max_ratio)
        left = int(np.random.uniform(0, width * ratio - width))
        top = int(np.random.uniform(0, height * ratio - height))
        return (int(height * ratio), int(width * ratio)), top, left

    def __call__(self, results: dict) -> dict:
        check_one_image('Expand', results)
        drawn = self.sample(results['img'].shape[:2])
        if drawn is None:
            return results
        canvas_hw, top, left = drawn
        results['img'] = paste(results['img'], canvas_hw, top, left, self.mean)
        for key in results.get('bbox_fields', []):
            results[key] = shift_boxes(results[key], left, top)
        shift_result_keypoints(results, left, top, canvas_hw)
        for key in results.get('mask_fields', []):
            results[key] = results[key].expand(*canvas_hw, top, left)
        for key in results.get('seg_fields', []):
            if self.seg_ignore_label is None:
                raise ValueError('Expand: seg_ignore_label is needed, as there are segmentation maps')
            results[key] = paste(results[key], canvas_hw, top, left, self.seg_ignore_label)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(mean={self.mean}, to_rgb={self.to_rgb}, ratio_range={self.ratio_range}, '
            f'seg_ignore_label={self.seg_ignore_label}, prob={self.prob})'
        )


def paste(
    img: np.ndarray, canvas_hw: tuple[int, int], top: int, left: int, fill: float | Sequence[float]
) -> np.ndarray:
    """Image (h, w) or (h, w, c) on a larger canvas of one colour."""
    canvas = np.empty((*canvas_hw, *img.shape[2:]), dtype=img.dtype)
    canvas[...] = fill
    canvas[top : top + img.shape[0], left : left + img.shape[1]] = img
    return canvas


@PIPELINES.register_module()
class RandomShift:
    """Move the image on its canvas by whole pixels; what comes in is black (YOLOF, https://arxiv.org/abs/2103.09460).

    Nothing is done where no object would be left.

    Args:
        shift_ratio: chance that anything is done.
        max_shift_px: largest move along each axis, px.
        filter_thr_px: objects are kept whose edges inside the image are longer than this, px.

    Raises:
        ValueError: an impossible argument.
    """

    def __init__(self, shift_ratio: float = 0.5, max_shift_px: int = 32, filter_thr_px: int = 1) -> None:
        if not 0 <= shift_ratio <= 1:
            raise ValueError(f'RandomShift: shift_ratio must be in [0, 1], got {shift_ratio}')
        if max_shift_px < 0:
            raise ValueError(f'RandomShift: max_shift_px must not be negative, got {max_shift_px}')
        self.shift_ratio = shift_ratio
        self.max_shift_px = max_shift_px
        self.filter_thr_px = int(filter_thr_px)

    def sample(self) -> tuple[int, int] | None:
        """Draw the move (dx, dy), or None."""
        if np.random.random() >= self.shift_ratio or self.max_shift_px == 0:
            return None
        dx, dy = (int(np.random.randint(-self.max_shift_px, self.max_shift_px)) for _ in range(2))
        return dx, dy

    def __call__(self, results: dict) -> dict:
        move = self.sample()
        if move is None:
            return results
        shape_hw = results['img'].shape[:2]
        moved = {key: clip_boxes(shift_boxes(results[key], *move), shape_hw) for key in results.get('bbox_fields', [])}
        kept = {key: sides_above(boxes, self.filter_thr_px) for key, boxes in moved.items()}
        if 'gt_bboxes' in kept and not kept['gt_bboxes'].any():
            return results
        for key, boxes in moved.items():
            results[key] = boxes
            filter_instances(results, kept[key], key)
        shift_result_keypoints(results, *move, shape_hw)
        for key in (*results.get('img_fields', ['img']), *results.get('seg_fields', [])):
            results[key] = shift_image(results[key], *move)
        for key in results.get('mask_fields', []):
            for offset, direction in zip(move, ('horizontal', 'vertical')):
                results[key] = results[key].translate(shape_hw, offset, direction)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(shift_ratio={self.shift_ratio}, max_shift_px={self.max_shift_px}, '
            f'filter_thr_px={self.filter_thr_px})'
        )


def shift_image(img: np.ndarray, dx: int, dy: int) -> np.ndarray:
    """Image (h, w, ...) moved to the right by ``dx`` and down by ``dy`` px, black where nothing is."""
    height, width = img.shape[:2]
    shifted = np.zeros_like(img)
    part = img[max(-dy, 0) : max(height - dy, 0), max(-dx, 0) : max(width - dx, 0)]
    top, left = max(dy, 0), max(dx, 0)
    shifted[top : top + part.shape[0], left : left + part.shape[1]] = part
    return shifted
