"""Pictures of images whose labels a teacher has completed."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from mmdet.core.visualization.feature_maps import captioned

COLOURS = dict(annotated=(60, 180, 60), pseudo=(40, 40, 230), ignored=(160, 160, 160))  # BGR
SHORTEST_SIDE = 320  # px; smaller images are enlarged by a whole factor


def shown(image: np.ndarray, norm: Mapping[str, Any] | None) -> np.ndarray:
    """An image (3, H, W) as a network gets it, as (H, W, 3) uint8 BGR.

    Args:
        norm: ``img_norm_cfg`` of its meta information; None: it is BGR in [0, 255] as in files.
    """
    pixels = image.transpose(1, 2, 0).astype(np.float32)
    if norm is not None:
        pixels = pixels * np.asarray(norm['std'], np.float32) + np.asarray(norm['mean'], np.float32)
        pixels = pixels[..., ::-1] if norm.get('to_rgb', True) else pixels
    return np.ascontiguousarray(pixels.round().clip(0, 255).astype(np.uint8))


def completed_picture(image: np.ndarray, boxes: Mapping[str, np.ndarray]) -> np.ndarray:
    """An image with boxes in the colours of their kinds, and a line above it that says how many of each there are.

    Args:
        image: (H, W, 3) uint8 BGR.
        boxes: of each kind of ``COLOURS`` (n, 4) xyxy px.

    Returns:
        (height, width, 3) uint8 BGR, enlarged where the image is small.
    """
    factor = max(1, round(SHORTEST_SIDE / min(image.shape[:2])))
    canvas = image.repeat(factor, 0).repeat(factor, 1)
    for kind, colour in COLOURS.items():
        for x1, y1, x2, y2 in (np.asarray(boxes[kind]) * factor).round().astype(int).tolist():
            cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, 2)
    return captioned(canvas, '  '.join(f'{kind} {len(boxes[kind])}' for kind in COLOURS))
