"""Keypoints in a pipeline's results.

``gt_keypoints`` is (n, K, 3) float32: x, y in px of the image, where pixel 0 covers 0 to 1, and a visibility (0 not
labelled, 1 hidden, 2 visible). ``keypoint_flip_indices`` (K,) says where each point of a mirrored image comes from.
A point that leaves the image is not labelled any more.
"""

from collections.abc import Sequence

import numpy as np

from mmdet.core.mask.base import FLIP_DIRECTIONS, check_direction

KEYPOINTS = 'gt_keypoints'
FLIP_INDICES = 'keypoint_flip_indices'


def hide_outside(keypoints: np.ndarray, window: Sequence[float]) -> np.ndarray:
    """Keypoints (..., 3), those outside ``window`` (x1, y1, x2, y2) with visibility 0; its edge is inside."""
    xy = keypoints[..., :2]
    inside = ((xy >= window[:2]) & (xy <= window[2:])).all(-1)
    return np.concatenate([xy, np.where(inside, keypoints[..., 2], 0)[..., None]], -1).astype(keypoints.dtype)


def warp_keypoints(keypoints: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Keypoints (..., 3) moved by a matrix, (2, 3) or (3, 3) without perspective."""
    xy = keypoints[..., :2] @ matrix[:2, :2].T + matrix[:2, 2]
    return np.concatenate([xy, keypoints[..., 2:]], -1).astype(keypoints.dtype)


def flip_keypoints(
    keypoints: np.ndarray, shape_hw: tuple[int, ...], direction: str, flip_indices: Sequence[int]
) -> np.ndarray:
    """Keypoints (n, K, 3) on the mirrored image; left and right change places, unless it is mirrored twice.

    Raises:
        ValueError: an unknown direction.
    """
    check_direction(direction, FLIP_DIRECTIONS)
    height, width = shape_hw[:2]
    flipped = keypoints.copy()
    if direction != 'vertical':
        flipped[..., 0] = width - keypoints[..., 0]
    if direction != 'horizontal':
        flipped[..., 1] = height - keypoints[..., 1]
    return flipped if direction == 'diagonal' else flipped[:, list(flip_indices)]


def warp_result_keypoints(results: dict, matrix: np.ndarray, shape_hw: tuple[int, ...]) -> None:
    """Move the results' keypoints, if there are any, by a matrix; ``shape_hw`` is the image's shape after that."""
    if KEYPOINTS in results:
        height, width = shape_hw[:2]
        results[KEYPOINTS] = hide_outside(warp_keypoints(results[KEYPOINTS], matrix), (0, 0, width, height))


def shift_result_keypoints(results: dict, dx: float, dy: float, shape_hw: tuple[int, ...]) -> None:
    """Move the results' keypoints, if there are any, by (dx, dy) px; ``shape_hw`` is the image's shape after that."""
    warp_result_keypoints(results, np.array([[1, 0, dx], [0, 1, dy]], dtype=np.float32), shape_hw)


def scale_result_keypoints(results: dict, scale_factor: np.ndarray) -> None:
    """Scale the results' keypoints, if there are any, by (w, h, ...) factors."""
    if KEYPOINTS in results:
        factors = np.array([*scale_factor[:2], 1], dtype=np.float32)
        results[KEYPOINTS] = results[KEYPOINTS] * factors


def refuse_keypoints(results: dict, name: str) -> None:
    """For steps that do not know keypoints.

    Raises:
        NotImplementedError: there are some.
    """
    if KEYPOINTS in results:
        raise NotImplementedError(f'{name} does not know keypoints, and there are gt_keypoints')
