"""Crops."""

from collections.abc import Sequence

import numpy as np

from mmdet.datasets.pipelines.boxes import clip_boxes, pairwise_iou, shift_boxes, sides_above
from mmdet.datasets.pipelines.instances import check_one_image, filter_instances
from mmdet.datasets.pipelines.keypoints import shift_result_keypoints
from mmdet.datasets.registry import PIPELINES
from mmdet.utils.registry import did_you_mean

CROP_TYPES = ('absolute', 'absolute_range', 'relative', 'relative_range')
MAX_TRIALS = 50  # crops that MinIoURandomCrop draws for one overlap before it draws another overlap
KEEP_IMAGE = 1  # MinIoURandomCrop's mode that leaves the image whole: no crop can be asked for overlap 1
Window = tuple[int, int, int, int]  # x1, y1, x2, y2 in whole pixels, x2 and y2 exclusive


def crop_image_and_maps(results: dict, window: Window) -> None:
    """Cut images, segmentation maps, masks and keypoints in the results to ``window``, and set ``img_shape``."""
    x1, y1, x2, y2 = window
    for key in results.get('img_fields', ['img']):
        results[key] = results[key][y1:y2, x1:x2]
        results['img_shape'] = results[key].shape
    for key in results.get('seg_fields', []):
        results[key] = results[key][y1:y2, x1:x2]
    for key in results.get('mask_fields', []):
        results[key] = results[key].crop(np.array(window))
    shift_result_keypoints(results, -x1, -y1, (y2 - y1, x2 - x1))


@PIPELINES.register_module()
class RandomCrop:
    """Cut out a part of the image, at a place that is drawn.

    Objects without area inside the part are left out, with all that belongs to them.

    Args:
        crop_size: (h, w); what it means depends on ``crop_type``.
        crop_type: 'absolute': pixels; 'absolute_range': each edge is drawn between the two numbers, in pixels;
            'relative': fractions of the image's edges; 'relative_range': fractions drawn from [crop_size, 1].
        allow_negative_crop: give parts without objects too; otherwise such an image is refused (None).
        recompute_bbox: make the boxes anew from the cropped masks; objects whose mask is empty then are left out.
        bbox_clip_border: cut boxes to the part.

    Raises:
        ValueError: an unknown type, or a size that it cannot have.
    """

    def __init__(
        self,
        crop_size: tuple[float, float],
        crop_type: str = 'absolute',
        allow_negative_crop: bool = False,
        recompute_bbox: bool = False,
        bbox_clip_border: bool = True,
    ) -> None:
        check_crop_size(crop_size, crop_type)
        self.crop_size = crop_size
        self.crop_type = crop_type
        self.allow_negative_crop = allow_negative_crop
        self.recompute_bbox = recompute_bbox
        self.bbox_clip_border = bbox_clip_border

    def _get_crop_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Size (h, w) of the part for an image (h, w); at most the image."""
        height, width = image_size
        if self.crop_type in ('absolute', 'absolute_range'):
            low, high = map(int, self.crop_size)  # they are whole: see check_crop_size
            if self.crop_type == 'absolute':
                return min(low, height), min(high, width)
            crop_h = np.random.randint(min(height, low), min(height, high) + 1)
            crop_w = np.random.randint(min(width, low), min(width, high) + 1)
            return int(crop_h), int(crop_w)
        fraction_h, fraction_w = self.crop_size
        if self.crop_type == 'relative_range':
            smallest = np.asarray(self.crop_size, dtype=np.float32)
            fraction_h, fraction_w = smallest + np.random.rand(2) * (1 - smallest)
        return int(height * fraction_h + 0.5), int(width * fraction_w + 0.5)

    def _crop_data(self, results: dict, crop_size: tuple[int, int], allow_negative_crop: bool) -> dict | None:
        """Cut out a part of that size (h, w); None where it holds no object and must."""
        height, width = results[results.get('img_fields', ['img'])[0]].shape[:2]
        y1 = int(np.random.randint(0, max(height - crop_size[0], 0) + 1))
        x1 = int(np.random.randint(0, max(width - crop_size[1], 0) + 1))
        window = (x1, y1, x1 + int(crop_size[1]), y1 + int(crop_size[0]))
        if not self._crop_boxes(results, window, allow_negative_crop):
            return None
        crop_image_and_maps(results, window)
        if self.recompute_bbox and 'gt_masks' in results:
            # polygons are not cut by a crop, so their boxes may reach beyond it
            results['gt_bboxes'] = clip_boxes(results['gt_masks'].get_bboxes(), results['img_shape'])
            filter_instances(results, sides_above(results['gt_bboxes'], 0))
        return results

    def _crop_boxes(self, results: dict, window: Window, allow_negative_crop: bool) -> bool:
        """Move and filter the boxes; whether the part may be used."""
        x1, y1, x2, y2 = window
        for key in results.get('bbox_fields', []):
            boxes = shift_boxes(results[key], -x1, -y1)
            clipped = clip_boxes(boxes, (y2 - y1, x2 - x1))
            results[key] = clipped if self.bbox_clip_border else boxes
            inside = sides_above(clipped, 0)
            if key == 'gt_bboxes' and not inside.any() and not allow_negative_crop:
                return False
            filter_instances(results, inside, key)
        return True

    def __call__(self, results: dict) -> dict | None:
        crop_size = self._get_crop_size(results['img'].shape[:2])
        return self._crop_data(results, crop_size, self.allow_negative_crop)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(crop_size={self.crop_size}, crop_type={self.crop_type}, '
            f'allow_negative_crop={self.allow_negative_crop}, bbox_clip_border={self.bbox_clip_border})'
        )


def check_crop_size(crop_size: tuple[float, float], crop_type: str) -> None:
    """Check the arguments of :class:`RandomCrop`.

    Raises:
        ValueError: an unknown type, or a size that it cannot have.
    """
    if crop_type not in CROP_TYPES:
        raise ValueError(
            f'RandomCrop: crop_type must be one of {CROP_TYPES}, got {crop_type!r}'
            f'{did_you_mean(str(crop_type), CROP_TYPES)}'
        )
    relative = crop_type.startswith('relative')
    fits = all(0 < n <= 1 for n in crop_size) if relative else all(isinstance(n, int) and n > 0 for n in crop_size)
    if not fits:
        accepted = 'fractions in (0, 1]' if relative else 'whole numbers of pixels above 0'
        raise ValueError(f'RandomCrop: crop_size of crop_type={crop_type!r} must be {accepted}, got {crop_size}')
    if crop_type == 'absolute_range' and crop_size[0] > crop_size[1]:
        raise ValueError(f'RandomCrop: crop_size must be (smallest, largest), got {crop_size}')


@PIPELINES.register_module()
class MinIoURandomCrop:
    """Cut out a part that overlaps every object at least so much (SSD, https://arxiv.org/abs/1512.02325).

    The least overlap (IoU of the part and a box) is drawn, with the two further choices "any overlap" and "leave the
    image as it is". Of a part's objects those are kept whose centres lie in it; it must hold one, where the image has
    objects. Sets ``img_shape``.

    Args:
        min_ious: least overlaps to draw from.
        min_crop_size: least fraction of the image's edges.
        bbox_clip_border: cut boxes to the part.

    Attributes:
        mode: what the last call drew: a least overlap, 0 for any, 1 for the image as it is.
    """

    def __init__(
        self,
        min_ious: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9),
        min_crop_size: float = 0.3,
        bbox_clip_border: bool = True,
    ) -> None:
        self.min_ious = tuple(min_ious)
        self.sample_mode = (KEEP_IMAGE, *min_ious, 0)
        self.min_crop_size = min_crop_size
        self.bbox_clip_border = bbox_clip_border

    def __call__(self, results: dict) -> dict:
        check_one_image('MinIoURandomCrop', results)
        box_keys = results.get('bbox_fields', [])
        boxes = np.concatenate([np.zeros((0, 4)), *(results[key] for key in box_keys)])
        window = self.sample(results['img'].shape[:2], boxes)
        if window is None:
            return results
        for key in box_keys:
            filter_instances(results, centres_inside(results[key], window), key)
            kept = shift_boxes(results[key], -window[0], -window[1])
            shape_hw = (window[3] - window[1], window[2] - window[0])
            results[key] = clip_boxes(kept, shape_hw) if self.bbox_clip_border else kept
        crop_image_and_maps(results, window)
        return results

    def sample(self, shape_hw: tuple[int, int], boxes: np.ndarray) -> Window | None:
        """Draw until a part fits; None leaves the image as it is.

        The loop ends: each round that finds none has the same chance as the first to draw "leave the image".
        """
        while True:
            self.mode = mode = np.random.choice(self.sample_mode)
            if mode == KEEP_IMAGE:
                return None
            for _ in range(MAX_TRIALS):
                window = self._draw_window(*shape_hw)
                if window is not None and window_fits(window, boxes, mode):
                    return window

    def _draw_window(self, height: int, width: int) -> Window | None:
        """A part whose edges are at most 1 : 2; None where the draw gave another or an empty one."""
        new_w = np.random.uniform(self.min_crop_size * width, width)
        new_h = np.random.uniform(self.min_crop_size * height, height)
        if not 0.5 <= new_h / new_w <= 2:
            return None
        # the upper left corner lies between 1 px and the last place (in this order, so that seeds give the same draws
        # in every version); a margin below 1 px rounds down to 0
        left = np.random.uniform(width - new_w, 1)
        top = np.random.uniform(height - new_h, 1)
        window = (int(left), int(top), int(left + new_w), int(top + new_h))
        return window if window[2] > window[0] and window[3] > window[1] else None

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(min_ious={self.min_ious}, min_crop_size={self.min_crop_size}, '
            f'bbox_clip_border={self.bbox_clip_border})'
        )


def centres_inside(boxes: np.ndarray, window: Window | np.ndarray) -> np.ndarray:
    """(n,) bool, whether the centres of the boxes lie inside the window, not on its edge."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    return ((centres > window[:2]) & (centres < window[2:])).all(1)


def window_fits(window: Window, boxes: np.ndarray, min_iou: float) -> bool:
    """Whether all boxes (n, 4) overlap the window so much and one has its centre in it; always, without boxes."""
    if len(boxes) == 0:
        return True
    overlaps = pairwise_iou(np.array([window], dtype=np.float32), boxes)
    return bool(overlaps.min() >= min_iou and centres_inside(boxes, window).any())
