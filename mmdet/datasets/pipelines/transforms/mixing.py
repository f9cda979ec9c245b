"""Mosaic and MixUp: images made of several (YOLOX, https://arxiv.org/abs/2107.08430).

The data set around them (``MultiImageMixDataset``) asks a step's ``get_indexes`` for the other images and puts their
results into ``mix_results``. What images say of their training is merged by the area that is seen of each.
"""

from collections.abc import Sequence
from typing import Any

import mmcv
import numpy as np

from mmdet.datasets.pipelines.boxes import clip_boxes, inside_image, sides_above, usable_after_warp
from mmdet.datasets.pipelines.image_directives import join_directives
from mmdet.datasets.pipelines.instances import (
    filter_instances,
    has_ignored_boxes,
    ignored_boxes,
    join_ignored,
    join_labels,
)
from mmdet.datasets.pipelines.keypoints import FLIP_INDICES, KEYPOINTS, flip_keypoints, hide_outside
from mmdet.datasets.pipelines.transforms.several_images import check_mix_results, check_size, fit_inside
from mmdet.datasets.registry import PIPELINES

Rectangle = tuple[int, int, int, int]  # x1, y1, x2, y2 px


@PIPELINES.register_module()
class Mosaic:
    """Four images in one: upper left this one, and three others, around a centre that is drawn.

    ``img_shape`` becomes twice ``img_scale``.

    Args:
        img_scale: (h, w) that each image is fitted into.
        center_ratio_range: smallest and largest place of the centre, as fractions of ``img_scale``.
        min_bbox_size: objects need edges longer than this, px; only with ``skip_filter=False``.
        bbox_clip_border: cut boxes to the image.
        skip_filter: keep all objects that touch the image.
        pad_val: colour of the room between the images.
        prob: chance that anything is done.
    """

    def __init__(
        self,
        img_scale: tuple[int, int] = (640, 640),
        center_ratio_range: tuple[float, float] = (0.5, 1.5),
        min_bbox_size: float = 0,
        bbox_clip_border: bool = True,
        skip_filter: bool = True,
        pad_val: float = 114,
        prob: float = 1.0,
    ) -> None:
        check_size('Mosaic', img_scale)
        if not 0 <= prob <= 1:
            raise ValueError(f'Mosaic: prob must be in [0, 1], got {prob}')
        if not isinstance(center_ratio_range, (list, tuple)) or len(center_ratio_range) != 2:
            raise TypeError(f'Mosaic: center_ratio_range must be (smallest, largest), got {center_ratio_range!r}')
        self.img_scale = img_scale
        self.center_ratio_range = center_ratio_range
        self.min_bbox_size = min_bbox_size
        self.bbox_clip_border = bbox_clip_border
        self.skip_filter = skip_filter
        self.pad_val = pad_val
        self.prob = prob

    def get_indexes(self, dataset: Sequence) -> list[int]:
        """Draw three other images."""
        return [int(np.random.randint(0, len(dataset))) for _ in range(3)]

    def __call__(self, results: dict) -> dict:
        if np.random.uniform(0, 1) > self.prob:
            return results
        return self._mosaic_transform(results)

    def sample(self) -> tuple[int, int]:
        """Draw the centre (x, y), px."""
        x = int(np.random.uniform(*self.center_ratio_range) * self.img_scale[1])
        y = int(np.random.uniform(*self.center_ratio_range) * self.img_scale[0])
        return x, y

    def _mosaic_transform(self, results: dict) -> dict:
        parts = [results, *check_mix_results('Mosaic', results, 3)]
        height, width = self.img_scale[0] * 2, self.img_scale[1] * 2
        canvas = np.full((height, width, *results['img'].shape[2:]), self.pad_val, dtype=results['img'].dtype)
        center = self.sample()
        boxes, ignored, areas, keypoints = [], [], [], []
        for part, loc in zip(parts, ('top_left', 'top_right', 'bottom_left', 'bottom_right')):
            img, factor = fit_inside(part['img'], self.img_scale)
            paste, cut = self._mosaic_combine(loc, center, img.shape[1::-1])
            canvas[paste[1] : paste[3], paste[0] : paste[2]] = img[cut[1] : cut[3], cut[0] : cut[2]]
            shift = np.array([paste[0] - cut[0], paste[1] - cut[1]] * 2, dtype=np.float32)
            boxes.append(part['gt_bboxes'] * np.float32(factor) + shift)
            ignored.append(ignored_boxes(part) * np.float32(factor) + shift)
            areas.append((paste[2] - paste[0]) * (paste[3] - paste[1]))
            if KEYPOINTS in part:
                stretch = np.array([factor, factor, 1], np.float32)
                moved = part[KEYPOINTS] * stretch + np.append(shift[:2], np.float32(0))
                keypoints.append(hide_outside(moved, paste))
        results['img'] = canvas
        results['img_shape'] = canvas.shape
        results['gt_bboxes'] = np.concatenate(boxes)
        join_labels(results, parts)
        join_ignored(results, parts, ignored)
        join_directives(results, parts, areas)
        if KEYPOINTS in results:
            results[KEYPOINTS] = np.concatenate(keypoints)
        self._clean_boxes(results)
        return results

    def _clean_boxes(self, results: dict) -> None:
        """Cut boxes to the image, and leave out objects that are not to be seen."""
        shape_hw = results['img_shape']
        for key in ('gt_bboxes', 'gt_bboxes_ignore'):
            if key != 'gt_bboxes' and not has_ignored_boxes(results):
                continue
            if self.bbox_clip_border:
                results[key] = clip_boxes(results[key], shape_hw)
            keep = inside_image(results[key], shape_hw)
            if not self.skip_filter:
                keep &= sides_above(results[key], self.min_bbox_size)
            filter_instances(results, keep, key)

    def _mosaic_combine(
        self, loc: str, center_position_xy: tuple[int, int], img_shape_wh: tuple[int, int]
    ) -> tuple[Rectangle, Rectangle]:
        """Where an image (w, h) goes on the canvas, one corner at the centre, and which part of it."""
        (center_x, center_y), (width, height) = center_position_xy, img_shape_wh
        x_on_canvas, x_in_image = paste_range(loc.endswith('right'), center_x, width, 2 * self.img_scale[1])
        y_on_canvas, y_in_image = paste_range(loc.startswith('bottom'), center_y, height, 2 * self.img_scale[0])
        (x1, x2), (y1, y2), (cut_x1, cut_x2), (cut_y1, cut_y2) = x_on_canvas, y_on_canvas, x_in_image, y_in_image
        return (x1, y1, x2, y2), (cut_x1, cut_y1, cut_x2, cut_y2)

    def _filter_box_candidates(self, bboxes: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (n, 4) with edges longer than ``min_bbox_size``, and their labels."""
        keep = sides_above(bboxes, self.min_bbox_size)
        return bboxes[keep], labels[keep]

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(img_scale={self.img_scale}, center_ratio_range={self.center_ratio_range}, '
            f'pad_val={self.pad_val}, min_bbox_size={self.min_bbox_size}, skip_filter={self.skip_filter})'
        )


def paste_range(after: bool, center: int, size: int, limit: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Along one axis: the pixels of the canvas that an image takes, and the pixels of the image that go there.

    Args:
        after: the image begins at the centre; otherwise it ends there.
        center: px on the canvas.
        size: of the image, px.
        limit: size of the canvas, px.
    """
    if after:
        end = min(center + size, limit)
        return (center, end), (0, end - center)
    start = max(center - size, 0)
    return (start, center), (size - (center - start), size)


def draw_offset(have: int, want: int) -> int:
    """Where a part of ``want`` px begins on ``have`` px: drawn where there is more than is needed, else 0."""
    return int(np.random.randint(0, have - want)) if have > want else 0


@PIPELINES.register_module()
class MixUp:
    """The mean of this image and another one, which is fitted, scaled by a factor, maybe flipped, and cropped.

    Args:
        img_scale: (h, w) that the other image is fitted into first.
        ratio_range: smallest and largest factor that it is then scaled by.
        flip_ratio: chance of a horizontal flip.
        pad_val: colour of the room beside the other image.
        max_iters: how often another image is drawn until one has objects.
        min_bbox_size: see ``skip_filter``.
        min_area_ratio: see ``skip_filter``.
        max_aspect_ratio: see ``skip_filter``.
        bbox_clip_border: cut boxes to the image.
        skip_filter: keep all objects that touch the image; False: of the other image's only those with edges longer
            than ``min_bbox_size`` px, more than ``min_area_ratio`` of their area left, and edges of a ratio below
            ``max_aspect_ratio``.
    """

    def __init__(
        self,
        img_scale: tuple[int, int] = (640, 640),
        ratio_range: tuple[float, float] = (0.5, 1.5),
        flip_ratio: float = 0.5,
        pad_val: float = 114,
        max_iters: int = 15,
        min_bbox_size: float = 5,
        min_area_ratio: float = 0.2,
        max_aspect_ratio: float = 20,
        bbox_clip_border: bool = True,
        skip_filter: bool = True,
    ) -> None:
        check_size('MixUp', img_scale)
        self.dynamic_scale = img_scale
        self.ratio_range = ratio_range
        self.flip_ratio = flip_ratio
        self.pad_val = pad_val
        self.max_iters = max_iters
        self.min_bbox_size = min_bbox_size
        self.min_area_ratio = min_area_ratio
        self.max_aspect_ratio = max_aspect_ratio
        self.bbox_clip_border = bbox_clip_border
        self.skip_filter = skip_filter

    def get_indexes(self, dataset: Any) -> int:
        """Draw another image, one with objects if one is found in ``max_iters`` draws."""
        for _ in range(self.max_iters):
            index = int(np.random.randint(0, len(dataset)))
            if len(dataset.get_ann_info(index)['bboxes']) > 0:
                break
        return index

    def __call__(self, results: dict) -> dict:
        return self._mixup_transform(results)

    def _mixup_transform(self, results: dict) -> dict:
        (other,) = check_mix_results('MixUp', results, 1)
        if len(other['gt_bboxes']) == 0:
            return results
        img = results['img']
        factor = np.random.uniform(*self.ratio_range)
        flips = np.random.uniform(0, 1) < self.flip_ratio
        layer, scale = self._make_layer(other['img'], factor, flips)
        y, x = (draw_offset(*sizes) for sizes in zip(layer.shape, img.shape[:2]))
        boxes = self._boxes_on_layer(other['gt_bboxes'], layer.shape, scale, flips)
        results['mix_results'] = [dict(other, gt_bboxes=boxes)]  # where they lie on the layer, before it is cropped
        part = layer[y : y + img.shape[0], x : x + img.shape[1]]
        background = np.zeros(img.shape, dtype=np.float32)
        background[: part.shape[0], : part.shape[1]] = part
        results['img'] = (0.5 * img.astype(np.float32) + 0.5 * background).astype(np.uint8)
        results['img_shape'] = results['img'].shape
        if KEYPOINTS in results:
            keypoints = self._keypoints_on_layer(other, layer.shape, scale, flips) - np.array([x, y, 0], np.float32)
            shown = hide_outside(keypoints, (0, 0, img.shape[1], img.shape[0]))
            results[KEYPOINTS] = np.concatenate([results[KEYPOINTS], shown])
        self._join_objects(results, other, boxes, (x, y))
        self._join_ignored(
            results, other, self._boxes_on_layer(ignored_boxes(other), layer.shape, scale, flips), (x, y)
        )
        seen = self._area_on_layer(other['img'].shape, scale, layer.shape, flips, (x, y), img.shape)
        join_directives(results, [results, other], [img.shape[0] * img.shape[1], seen])
        return results

    @staticmethod
    def _area_on_layer(
        img_shape: tuple[int, ...],
        scale: float,
        layer_shape: tuple[int, ...],
        flips: bool,
        offset_xy: tuple[int, int],
        shape_hw: tuple[int, ...],
    ) -> float:
        """What is seen, px², of the other image (not of the room beside it) in the part of its layer that is used."""
        height, width = img_shape[0] * scale, img_shape[1] * scale
        left = layer_shape[1] - width if flips else 0.0
        x, y = offset_xy
        seen_w = min(left + width, x + shape_hw[1]) - max(left, x)
        seen_h = min(height, y + shape_hw[0]) - y
        return max(seen_w, 0.0) * max(seen_h, 0.0)

    def _make_layer(self, img: np.ndarray, factor: float, flips: bool) -> tuple[np.ndarray, float]:
        """The other image (h, w, c), fitted on its canvas and scaled with it; and its whole factor."""
        fitted, fit_factor = fit_inside(img, self.dynamic_scale)
        canvas = np.full((*self.dynamic_scale, *img.shape[2:]), self.pad_val, dtype=img.dtype)
        canvas[: fitted.shape[0], : fitted.shape[1]] = fitted
        layer = mmcv.imresize(canvas, (int(canvas.shape[1] * factor), int(canvas.shape[0] * factor)))
        return layer[:, ::-1] if flips else layer, fit_factor * factor

    def _boxes_on_layer(self, boxes: np.ndarray, layer_shape: tuple[int, ...], scale: float, flips: bool) -> np.ndarray:
        """The other image's boxes (m, 4) in pixels of the layer."""
        boxes = boxes * np.float32(scale)
        if self.bbox_clip_border:
            boxes = clip_boxes(boxes, layer_shape)
        if flips:
            boxes[:, 0::2] = layer_shape[1] - boxes[:, 2::-2]
        return boxes

    def _keypoints_on_layer(self, other: dict, layer_shape: tuple[int, ...], scale: float, flips: bool) -> np.ndarray:
        """The other image's keypoints (m, K, 3) in pixels of the layer."""
        keypoints = other[KEYPOINTS] * np.array([scale, scale, 1], np.float32)
        return flip_keypoints(keypoints, layer_shape, 'horizontal', other[FLIP_INDICES]) if flips else keypoints

    def _join_objects(self, results: dict, other: dict, boxes: np.ndarray, offset_xy: tuple[int, int]) -> None:
        """Add the other image's objects; boxes (m, 4) are in pixels of the layer, of which a part begins at offset."""
        shape_hw = results['img_shape']
        shifted = boxes - np.array(offset_xy * 2, dtype=boxes.dtype)
        if self.bbox_clip_border:
            shifted = clip_boxes(shifted, shape_hw)
        keep = np.ones(len(results['gt_bboxes']) + len(boxes), dtype=bool)
        if not self.skip_filter:
            keep[len(results['gt_bboxes']) :] = self._filter_box_candidates(boxes.T, shifted.T)
        join_labels(results, [results, other])
        results['gt_bboxes'] = np.concatenate([results['gt_bboxes'], shifted])
        filter_instances(results, keep & inside_image(results['gt_bboxes'], shape_hw))

    def _join_ignored(self, results: dict, other: dict, boxes: np.ndarray, offset_xy: tuple[int, int]) -> None:
        """Add the other image's boxes to ignore, which are in pixels of the layer."""
        shifted = boxes - np.array(offset_xy * 2, dtype=boxes.dtype)
        if self.bbox_clip_border:
            shifted = clip_boxes(shifted, results['img_shape'])
        join_ignored(results, [results, other], [ignored_boxes(results), shifted])
        if has_ignored_boxes(results):
            keep = inside_image(results['gt_bboxes_ignore'], results['img_shape'])
            filter_instances(results, keep, 'gt_bboxes_ignore')

    def _filter_box_candidates(self, bbox1: np.ndarray, bbox2: np.ndarray) -> np.ndarray:
        """(m,) bool from boxes before (4, m) and after (4, m) the cut; see ``skip_filter``."""
        return usable_after_warp(bbox1.T, bbox2.T, self.min_bbox_size, self.min_area_ratio, self.max_aspect_ratio)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(dynamic_scale={self.dynamic_scale}, ratio_range={self.ratio_range}, '
            f'flip_ratio={self.flip_ratio}, pad_val={self.pad_val}, max_iters={self.max_iters}, '
            f'min_bbox_size={self.min_bbox_size}, min_area_ratio={self.min_area_ratio}, '
            f'max_aspect_ratio={self.max_aspect_ratio}, skip_filter={self.skip_filter})'
        )
