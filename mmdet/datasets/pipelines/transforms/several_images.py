"""What steps share that make one image of several."""

from typing import Any

import mmcv
import numpy as np


def check_mix_results(name: str, results: dict, count: int) -> list[dict]:
    """The results of the other images.

    Raises:
        KeyError: there are none.
        ValueError: not as many as needed.
        NotImplementedError: there are masks, which these steps do not know.
    """
    if 'mix_results' not in results:
        raise KeyError(f'{name}: there are no mix_results; use MultiImageMixDataset around the data set')
    others = results['mix_results']
    if len(others) != count:
        raise ValueError(f'{name}: expected {count} other images in mix_results, got {len(others)}')
    if 'gt_masks' in results:
        raise NotImplementedError(f'{name} works on boxes only, and there are masks')
    return others


def check_size(name: str, img_scale: Any) -> None:
    """Check an (h, w) argument.

    Raises:
        TypeError: it is no pair.
    """
    if not isinstance(img_scale, tuple) or len(img_scale) != 2:
        raise TypeError(f'{name}: img_scale must be a tuple (h, w), got {img_scale!r}')


def fit_inside(img: np.ndarray, size_hw: tuple[int, int]) -> tuple[np.ndarray, float]:
    """Image scaled to the largest size inside ``size_hw`` with its aspect ratio, and the factor."""
    height, width = img.shape[:2]
    factor = min(size_hw[0] / height, size_hw[1] / width)
    return mmcv.imresize(img, (int(width * factor), int(height * factor))), factor
