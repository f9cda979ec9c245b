"""Looks of drawn scenes, for experiments in which two data sets show the same things in different ways."""

import cv2
import numpy as np


def dusk(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A scene (H, W, 3) uint8 BGR as on old film at dusk: bluish and pale, soft, with coarse grain and scratches.

    Geometry stays; colour statistics, contrast, sharpness and noise do not.
    """
    size = image.shape[0]
    soft = cv2.GaussianBlur(image.astype(np.float32), (0, 0), rng.uniform(0.7, 1.2))
    grey = soft.mean(2, keepdims=True)
    pale = grey + 0.6 * (soft - grey)
    tinted = pale * rng.uniform((0.8, 0.6, 0.45), (0.95, 0.75, 0.6)) + rng.uniform((40, 20, 5), (60, 35, 20))
    grain = cv2.resize(rng.normal(0, 1, (size // 2, size // 2)).astype(np.float32), (size, size))
    lines = np.sin(np.arange(size) * rng.uniform(1.2, 1.8) + rng.uniform(0, 6))
    tinted += (rng.uniform(8, 14) * grain + rng.uniform(3, 7) * lines[:, None])[..., None]
    return np.clip(tinted, 0, 255).astype(np.uint8)


STYLES = dict(plain=lambda image, rng: image, dusk=dusk)
