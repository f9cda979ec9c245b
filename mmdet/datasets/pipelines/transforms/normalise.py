"""Normalising the values of pixels."""

from collections.abc import Sequence

import mmcv
import numpy as np

from ...builder import PIPELINES


@PIPELINES.register_module()
class Normalize:
    """Subtract a mean and divide by a standard deviation, channel by channel; gives float32.

    Sets ``img_norm_cfg``.

    Args:
        mean: one number a channel, in the order after the change to RGB.
        std: likewise.
        to_rgb: turn BGR to RGB first; images of other than three channels stay in their order.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], to_rgb: bool = True) -> None:
        self.mean = np.array(mean, dtype=np.float32)
        self.std = np.array(std, dtype=np.float32)
        self.to_rgb = to_rgb

    def __call__(self, results: dict) -> dict:
        for key in results.get('img_fields', ['img']):
            results[key] = normalise_image(results[key], self.mean, self.std, self.to_rgb)
        results['img_norm_cfg'] = dict(mean=self.mean, std=self.std, to_rgb=self.to_rgb)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(mean={self.mean}, std={self.std}, to_rgb={self.to_rgb})'


def normalise_image(img: np.ndarray, mean: np.ndarray, std: np.ndarray, to_rgb: bool) -> np.ndarray:
    """Image (h, w, c) or (h, w) -> float32 of the same shape; mean and std (c,)."""
    if img.ndim == 3 and img.shape[2] == 3:
        return mmcv.imnormalize(img, mean, std, to_rgb)
    # OpenCV's arithmetic knows up to four channels and drops the axis of a single one
    if img.ndim == 2:
        return (img.astype(np.float32) - mean.reshape(())) / std.reshape(())
    return (img.astype(np.float32) - mean) / std
