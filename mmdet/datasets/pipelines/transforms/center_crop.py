"""RandomCenterCropPad."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmdet.datasets.pipelines.boxes import clip_boxes, shift_boxes, sides_above
from mmdet.datasets.pipelines.instances import filter_instances
from mmdet.datasets.pipelines.keypoints import shift_result_keypoints
from mmdet.datasets.pipelines.transforms.crop import MAX_TRIALS, Window, centres_inside
from mmdet.datasets.registry import PIPELINES

TEST_PAD_MODES = ('logical_or', 'size_divisor')


@PIPELINES.register_module()
class RandomCenterCropPad:
    """Crop around a centre that is drawn, and pad to a size around it (CornerNet, https://arxiv.org/abs/1808.01244).

    In training the crop is ``crop_size`` times a drawn ratio; what lies beyond the image has the mean colour; objects
    are kept whose centres lie in the crop. In testing the whole image is padded around its middle, and ``border`` (top,
    bottom, left, right) says where it lies.

    Args:
        crop_size: (h, w); for training only.
        ratios: factors of the size to draw from; for training only.
        border: room that the centre keeps from the image's edges, less on small images, px; for training only.
        mean: colour of the padding, in RGB order where ``to_rgb``.
        std: kept beside the mean; not used.
        to_rgb: images are BGR and the mean is RGB.
        test_mode: the way of testing.
        test_pad_mode: ('logical_or', n): edges are made ``edge | n``; ('size_divisor', n): multiples of n.
        test_pad_add_pix: added to edges after 'logical_or'.
        bbox_clip_border: cut boxes to the crop.

    Raises:
        ValueError: arguments of the other way, or missing ones.
    """

    def __init__(
        self,
        crop_size: tuple[int, int] | None = None,
        ratios: Sequence[float] | None = (0.9, 1.0, 1.1),
        border: int | None = 128,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        to_rgb: bool | None = None,
        test_mode: bool = False,
        test_pad_mode: tuple[str, int] | None = ('logical_or', 127),
        test_pad_add_pix: int = 0,
        bbox_clip_border: bool = True,
    ) -> None:
        check_arguments(crop_size, ratios, border, test_mode, test_pad_mode)
        if mean is None or std is None or to_rgb is None:
            # without defaults, as a forgotten one would only be seen in worse results
            raise ValueError('RandomCenterCropPad: mean, std and to_rgb are needed')
        # those of the other way stay None: check_arguments sees to it that nobody asks for them
        self.crop_size: Any = crop_size
        self.ratios: Any = ratios
        self.border: Any = border
        self.to_rgb = to_rgb
        self.input_mean, self.input_std = mean, std
        self.mean, self.std = (mean[::-1], std[::-1]) if to_rgb else (mean, std)
        self.test_mode = test_mode
        self.test_pad_mode: Any = test_pad_mode
        self.test_pad_add_pix = test_pad_add_pix
        self.bbox_clip_border = bbox_clip_border

    def _get_border(self, border: int, size: int) -> int:
        """``border`` divided by the smallest power of 2 that lets twice the result stay below the image's ``size``."""
        return border // smallest_power_above(2 * border / size)

    def _filter_boxes(self, patch: Window | np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """(n,) bool, whether the centres lie inside."""
        return centres_inside(boxes, patch)

    def _crop_image_and_paste(
        self, image: np.ndarray, center: Sequence[int], size: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cut out ``size`` (h, w) around ``center`` (y, x), padded with the mean colour.

        Returns:
            The crop (h, w, c); where the image lies in it: (4,) top, bottom, left, right; and the part of the image
            that it shows: (4,) x1, y1, x2, y2.
        """
        (center_y, center_x), (height, width) = center, size
        x1, x2 = max(0, center_x - width // 2), min(center_x + width // 2, image.shape[1])
        y1, y2 = max(0, center_y - height // 2), min(center_y + height // 2, image.shape[0])
        top, left = height // 2 - (center_y - y1), width // 2 - (center_x - x1)
        crop = np.zeros((height, width, image.shape[2]), dtype=image.dtype) + np.asarray(self.mean, dtype=image.dtype)
        crop[top : top + y2 - y1, left : left + x2 - x1] = image[y1:y2, x1:x2]
        border = np.array([top, top + y2 - y1, left, left + x2 - x1], dtype=np.float32)
        return crop, border, np.array([x1, y1, x2, y2])

    def sample(self, shape_hw: tuple[int, int], boxes: np.ndarray) -> tuple[tuple[int, int], tuple[int, int]]:
        """Draw a centre (y, x) and a size (h, w) until the centre of one of the boxes lies inside, if there are any."""
        height, width = shape_hw
        while True:
            ratio = np.random.choice(self.ratios)
            size = (int(self.crop_size[0] * ratio), int(self.crop_size[1] * ratio))
            border_h, border_w = self._get_border(self.border, height), self._get_border(self.border, width)
            for _ in range(MAX_TRIALS):
                x = int(np.random.randint(border_w, width - border_w))
                y = int(np.random.randint(border_h, height - border_h))
                patch = (
                    max(0, x - size[1] // 2),
                    max(0, y - size[0] // 2),
                    min(x + size[1] // 2, width),
                    min(y + size[0] // 2, height),
                )
                if len(boxes) == 0 or self._filter_boxes(patch, boxes).any():
                    return (y, x), size

    def _train_aug(self, results: dict) -> dict:
        if results.get('mask_fields') or results.get('seg_fields'):
            raise NotImplementedError('RandomCenterCropPad works on boxes only, and there are masks or maps')
        img = results['img'].astype(np.float32)
        center, size = self.sample(img.shape[:2], results['gt_bboxes'])
        crop, border, patch = self._crop_image_and_paste(img, center, size)
        results.update(img=crop, img_shape=crop.shape, pad_shape=crop.shape)
        for key in results.get('bbox_fields', []):
            filter_instances(results, self._filter_boxes(patch, results[key]), key)
            boxes = shift_boxes(results[key], border[2] - patch[0], border[0] - patch[1])
            results[key] = clip_boxes(boxes, size) if self.bbox_clip_border else boxes
            filter_instances(results, sides_above(results[key], 0), key)
        shift_result_keypoints(results, border[2] - patch[0], border[0] - patch[1], size)
        return results

    def _test_aug(self, results: dict) -> dict:
        img = results['img'].astype(np.float32)
        mode, number = self.test_pad_mode
        if mode == 'logical_or':
            size = [(edge | number) + self.test_pad_add_pix for edge in img.shape[:2]]
        else:
            size = [-(-edge // number) * number for edge in img.shape[:2]]
        crop, border, _ = self._crop_image_and_paste(img, [edge // 2 for edge in img.shape[:2]], size)
        results.update(img=crop, img_shape=img.shape, pad_shape=crop.shape, border=border)
        return results

    def __call__(self, results: dict) -> dict:
        return self._test_aug(results) if self.test_mode else self._train_aug(results)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(crop_size={self.crop_size}, ratios={self.ratios}, border={self.border}, '
            f'mean={self.input_mean}, std={self.input_std}, to_rgb={self.to_rgb}, test_mode={self.test_mode}, '
            f'test_pad_mode={self.test_pad_mode}, bbox_clip_border={self.bbox_clip_border})'
        )


def smallest_power_above(value: float) -> int:
    """The smallest power of 2, 1 among them, that is larger than ``value``."""
    power = 1
    while power <= value:
        power *= 2
    return power


def check_arguments(
    crop_size: tuple[int, int] | None,
    ratios: Sequence[float] | None,
    border: int | None,
    test_mode: bool,
    test_pad_mode: tuple[str, int] | None,
) -> None:
    """Check which arguments of :class:`RandomCenterCropPad` are there.

    Raises:
        ValueError: arguments of the other way, or missing ones.
    """
    if not test_mode:
        if not isinstance(crop_size, (tuple, list)) or min(crop_size) <= 0:
            raise ValueError(f'RandomCenterCropPad: crop_size must be (h, w) above 0 in training, got {crop_size!r}')
        if not ratios or not border:
            raise ValueError('RandomCenterCropPad: ratios and border are needed in training')
        return
    for name, value in (('crop_size', crop_size), ('ratios', ratios), ('border', border)):
        if value is not None:
            raise ValueError(f'RandomCenterCropPad: {name} must be None in test mode, got {value!r}')
    if not isinstance(test_pad_mode, (tuple, list)) or test_pad_mode[0] not in TEST_PAD_MODES:
        raise ValueError(
            f'RandomCenterCropPad: test_pad_mode must be (name, number) with a name of {TEST_PAD_MODES}, '
            f'got {test_pad_mode!r}'
        )
