"""Normalising the values of pixels."""

from collections.abc import Sequence

import cv2
import mmcv
import numpy as np

from mmdet.datasets.registry import PIPELINES


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
        if self.mean.shape != self.std.shape or self.mean.ndim != 1:
            raise ValueError(f'Normalize: expected one number a channel for mean and for std, got {mean!r} and {std!r}')
        self.to_rgb = to_rgb

    def __call__(self, results: dict) -> dict:
        for key in results.get('img_fields', ['img']):
            results[key] = normalise_image(results[key], self.mean, self.std, self.to_rgb)
        results['img_norm_cfg'] = dict(mean=self.mean, std=self.std, to_rgb=self.to_rgb)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(mean={self.mean}, std={self.std}, to_rgb={self.to_rgb})'


def normalise_image(img: np.ndarray, mean: np.ndarray, std: np.ndarray, to_rgb: bool) -> np.ndarray:
    """Image (h, w, c) or (h, w) -> float32 of the same shape; mean and std (c,).

    An image of uint8 and three channels comes as a view of three planes that follow each other in memory, as a tensor
    has them.
    """
    if img.dtype == np.uint8 and img.ndim == 3 and img.shape[2] == 3:
        return _planes_by_table(img, mean, std, to_rgb).transpose(1, 2, 0)
    if img.ndim == 3 and img.shape[2] == 3:
        return mmcv.imnormalize(img, mean, std, to_rgb)
    # OpenCV's arithmetic knows up to four channels and drops the axis of a single one
    if img.ndim == 2:
        return (img.astype(np.float32) - mean.reshape(())) / std.reshape(())
    return (img.astype(np.float32) - mean) / std


def _planes_by_table(img: np.ndarray, mean: np.ndarray, std: np.ndarray, to_rgb: bool) -> np.ndarray:
    """(h, w, 3) uint8 -> (3, h, w) float32: the 256 values are normalised once and looked up for each pixel."""
    levels = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
    table = mmcv.imnormalize(levels, mean, std, to_rgb=False)  # (256, 1, 3)
    planes = np.empty((3, *img.shape[:2]), np.float32)
    channels = cv2.split(img)[:: -1 if to_rgb else 1]
    for number, (channel, plane) in enumerate(zip(channels, planes)):
        cv2.LUT(channel, np.ascontiguousarray(table[..., number]), dst=plane)
    return planes
