"""Draw keypoints and what connects them."""

from collections.abc import Sequence

import cv2
import numpy as np

from mmdet.core.visualization.palette import random_palette

SHIFT = 4  # bits of a pixel's fraction that OpenCV is given


def draw_keypoints(
    img: np.ndarray,
    keypoints: np.ndarray,
    limbs: Sequence[tuple[int, int]] = (),
    score_thr: float = 0.0,
    radius: int = 3,
    thickness: int = 2,
) -> np.ndarray:
    """Draw the keypoints of the objects of an image.

    Args:
        img: (h, w, 3) uint8, BGR; not changed.
        keypoints: (n, K, 3) x, y px, where pixel 0 covers 0 to 1, and score or visibility.
        limbs: pairs of points that a line connects.
        score_thr: points with a lower score, and the lines to them, are left out.
        radius: of the points, px.
        thickness: of the lines, px.

    Returns:
        The picture, of the same shape.

    Raises:
        ValueError: keypoints of another shape.
    """
    keypoints = np.asarray(keypoints, dtype=np.float32)
    if keypoints.ndim != 3 or keypoints.shape[2] != 3:
        raise ValueError(f'keypoints: expected (n, K, 3), got {keypoints.shape}')
    picture = np.ascontiguousarray(img).copy()
    of_limbs, of_points = random_palette(len(limbs)), random_palette(keypoints.shape[1])
    # OpenCV counts from the middle of pixel 0; numbers far outside would overflow its integers
    places = np.clip((keypoints[..., :2] - 0.5) * 2**SHIFT, -(2**20), 2**20).round().astype(int)
    for points, shown in zip(places.tolist(), keypoints[..., 2] >= score_thr):
        for (first, second), colour in zip(limbs, of_limbs):
            if shown[first] and shown[second]:
                cv2.line(picture, points[first], points[second], colour[::-1], thickness, cv2.LINE_AA, SHIFT)
        for place, colour, show in zip(points, of_points, shown):
            if show:
                cv2.circle(picture, place, radius << SHIFT, colour[::-1], cv2.FILLED, cv2.LINE_AA, SHIFT)
    return picture
