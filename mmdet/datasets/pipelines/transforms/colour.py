"""Changes of colour."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import mmcv
import numpy as np

from mmdet.datasets.pipelines.instances import check_one_image
from mmdet.datasets.registry import PIPELINES


class Distortion(NamedTuple):
    """What one photometric distortion does; None leaves that out."""

    brightness: float | None  # added
    contrast: float | None  # factor
    saturation: float | None  # factor
    hue: float | None  # degrees, added
    channels: np.ndarray | None  # (3,) new order
    contrast_first: bool  # before the changes in HSV, else after them


@PIPELINES.register_module()
class PhotoMetricDistortion:
    """Change brightness, contrast, saturation, hue and the order of channels, each with a chance of one half (SSD).

    Works on BGR images, 0 to 255; gives float32 that is not cut to that range.

    Args:
        brightness_delta: largest number added to or taken from the values.
        contrast_range: smallest and largest factor.
        saturation_range: smallest and largest factor.
        hue_delta: largest turn of the hue, degrees.
    """

    def __init__(
        self,
        brightness_delta: float = 32,
        contrast_range: tuple[float, float] = (0.5, 1.5),
        saturation_range: tuple[float, float] = (0.5, 1.5),
        hue_delta: float = 18,
    ) -> None:
        self.brightness_delta = brightness_delta
        self.contrast_lower, self.contrast_upper = contrast_range
        self.saturation_lower, self.saturation_upper = saturation_range
        self.hue_delta = hue_delta

    def sample(self) -> Distortion:
        """Draw what to do. The order of the draws is that in which the changes are made."""
        brightness = draw_or_not(-self.brightness_delta, self.brightness_delta)
        contrast_first = bool(np.random.randint(2))
        contrast = draw_or_not(self.contrast_lower, self.contrast_upper) if contrast_first else None
        saturation = draw_or_not(self.saturation_lower, self.saturation_upper)
        hue = draw_or_not(-self.hue_delta, self.hue_delta)
        if not contrast_first:
            contrast = draw_or_not(self.contrast_lower, self.contrast_upper)
        channels = np.random.permutation(3) if np.random.randint(2) else None
        return Distortion(brightness, contrast, saturation, hue, channels, contrast_first)

    def __call__(self, results: dict) -> dict:
        check_one_image('PhotoMetricDistortion', results)
        results['img'] = distort(results['img'].astype(np.float32), self.sample())
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(brightness_delta={self.brightness_delta}, '
            f'contrast_range={(self.contrast_lower, self.contrast_upper)}, '
            f'saturation_range={(self.saturation_lower, self.saturation_upper)}, hue_delta={self.hue_delta})'
        )


def draw_or_not(low: float, high: float) -> float | None:
    """With a chance of one half a number between the two, else None."""
    return np.random.uniform(low, high) if np.random.randint(2) else None


def distort(img: np.ndarray, distortion: Distortion) -> np.ndarray:
    """Image (h, w, 3) BGR float32 -> the same, changed."""
    if distortion.brightness is not None:
        img = img + np.float32(distortion.brightness)
    if distortion.contrast is not None and distortion.contrast_first:
        img = img * np.float32(distortion.contrast)
    img = shift_hsv(img, distortion.saturation, distortion.hue)
    if distortion.contrast is not None and not distortion.contrast_first:
        img = img * np.float32(distortion.contrast)
    return img if distortion.channels is None else img[..., distortion.channels]


def shift_hsv(img: np.ndarray, saturation: float | None, hue: float | None) -> np.ndarray:
    """Multiply the saturation (then at most 1) and turn the hue of a BGR image (h, w, 3) float32."""
    if saturation is None and hue is None:
        return img
    hsv = mmcv.bgr2hsv(img)
    if saturation is not None:
        hsv[..., 1] *= np.float32(saturation)
        if saturation > 1:
            hsv[..., 1] = hsv[..., 1].clip(0, 1)
    if hue is not None:
        hsv[..., 0] = (hsv[..., 0] + np.float32(hue)) % 360
    return mmcv.hsv2bgr(hsv)


@PIPELINES.register_module()
class YOLOXHSVRandomAug:
    """Move hue, saturation and value of a BGR image of uint8, as YOLOX does (https://arxiv.org/abs/2107.08430).

    Args:
        hue_delta: largest move of the hue, in OpenCV's steps of 2 degrees.
        saturation_delta: largest move of the saturation, of 255.
        value_delta: largest move of the value, of 255.
    """

    def __init__(self, hue_delta: int = 5, saturation_delta: int = 30, value_delta: int = 30) -> None:
        self.hue_delta = hue_delta
        self.saturation_delta = saturation_delta
        self.value_delta = value_delta

    def sample(self) -> np.ndarray:
        """(3,) int16, moves of hue, saturation and value; each is 0 with a chance of one half."""
        gains = np.random.uniform(-1, 1, 3) * [self.hue_delta, self.saturation_delta, self.value_delta]
        return (gains * np.random.randint(0, 2, 3)).astype(np.int16)

    def __call__(self, results: dict) -> dict:
        results['img'] = move_hsv(results['img'], self.sample())
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(hue_delta={self.hue_delta}, saturation_delta={self.saturation_delta}, '
            f'value_delta={self.value_delta})'
        )


def move_hsv(img: np.ndarray, moves: Sequence[int] | np.ndarray) -> np.ndarray:
    """BGR image (h, w, 3) uint8 with its hue (modulo 180), saturation and value (cut to 0..255) moved."""
    hsv = cv2.cvtColor(img, cv2.COLOR_BGR2HSV).astype(np.int16) + np.asarray(moves, dtype=np.int16)
    hsv[..., 0] %= 180
    hsv[..., 1:] = hsv[..., 1:].clip(0, 255)
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR)
