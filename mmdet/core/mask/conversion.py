"""Polygons to bitmaps and back, through pycocotools and OpenCV."""

import cv2
import numpy as np
import pycocotools.mask as mask_utils


def polygon_to_bitmap(polygons: list[np.ndarray], height: int, width: int) -> np.ndarray:
    """Union of the polygons of one object.

    Args:
        polygons: each (2 * k,), x and y in turn, in pixels, k >= 3.

    Returns:
        (height, width) bool; all False where there are no polygons.
    """
    if not polygons:
        return np.zeros((height, width), dtype=bool)
    rles = mask_utils.frPyObjects([np.asarray(p, dtype=np.float64).ravel() for p in polygons], height, width)
    return mask_utils.decode(mask_utils.merge(rles)).astype(bool)


def bitmap_to_polygon(bitmap: np.ndarray) -> tuple[list[np.ndarray], bool]:
    """Outlines of one bitmap (h, w).

    Returns:
        The contours, each (k, 2) x and y of pixel centres, holes among them; and whether there are holes.
    """
    bitmap = np.ascontiguousarray(bitmap, dtype=np.uint8)  # OpenCV reads neither bool nor strided arrays
    contours, hierarchy = cv2.findContours(bitmap, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)[-2:]
    if hierarchy is None:
        return [], False
    has_holes = bool((hierarchy.reshape(-1, 4)[:, 3] >= 0).any())  # column 3 is the number of the parent
    return [contour.reshape(-1, 2) for contour in contours], has_holes
