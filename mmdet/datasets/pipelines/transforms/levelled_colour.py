"""Changes of colour with a level: saturation, brightness, contrast, and histograms made even."""

from collections.abc import Callable

import mmcv
import numpy as np

from mmdet.datasets.pipelines.transforms.levels import check_chance, check_level, enhance_level_to_value
from mmdet.datasets.registry import PIPELINES


class FactorTransform:
    """Change every image by one factor between 0.1 (level 0) and 1.9 (level 10), with a chance.

    Args:
        level: in [0, 10]; 5 changes nothing.
        prob: chance that anything is done.

    Raises:
        ValueError: a level or chance outside its range.
    """

    def __init__(self, level: float, prob: float = 0.5) -> None:
        check_level(self, level, prob)
        self.level = level
        self.prob = prob
        self.factor = enhance_level_to_value(level)

    def _adjust(self, results: dict, factor: float) -> None:
        raise NotImplementedError('a kind of FactorTransform says here what it changes')

    def __call__(self, results: dict) -> dict:
        if np.random.rand() <= self.prob:
            self._adjust(results, self.factor)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(level={self.level}, prob={self.prob})'


def map_images(results: dict, function: Callable[[np.ndarray], np.ndarray]) -> None:
    """Replace every image by what ``function`` makes of it, in the image's own kind."""
    for key in results.get('img_fields', ['img']):
        results[key] = function(results[key]).astype(results[key].dtype)


@PIPELINES.register_module()
class ColorTransform(FactorTransform):
    """Multiply the saturation; see :class:`FactorTransform`."""

    def _adjust_color_img(self, results: dict, factor: float = 1.0) -> None:
        map_images(results, lambda img: mmcv.adjust_color(img, factor))

    _adjust = _adjust_color_img


@PIPELINES.register_module()
class BrightnessTransform(FactorTransform):
    """Multiply the brightness; see :class:`FactorTransform`."""

    def _adjust_brightness_img(self, results: dict, factor: float = 1.0) -> None:
        map_images(results, lambda img: mmcv.adjust_brightness(img, factor))

    _adjust = _adjust_brightness_img


@PIPELINES.register_module()
class ContrastTransform(FactorTransform):
    """Multiply the contrast; see :class:`FactorTransform`."""

    def _adjust_contrast_img(self, results: dict, factor: float = 1.0) -> None:
        map_images(results, lambda img: mmcv.adjust_contrast(img, factor))

    _adjust = _adjust_contrast_img


@PIPELINES.register_module()
class EqualizeTransform:
    """Make the histogram of every channel even.

    Args:
        prob: chance that anything is done.
    """

    def __init__(self, prob: float = 0.5) -> None:
        check_chance(type(self).__name__, 'prob', prob)
        self.prob = prob

    def _imequalize(self, results: dict) -> None:
        map_images(results, mmcv.imequalize)

    def __call__(self, results: dict) -> dict:
        if np.random.rand() <= self.prob:
            self._imequalize(results)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob})'
