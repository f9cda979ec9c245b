"""Large images in tiles: where the tiles lie, and one list of detections from those of all tiles.

Suppression over tiles knows two things that the one of a detector does not. Boxes of the same tile have been through it
already, so they are not compared. And where a tile cuts an object, its box ends at the tile's border: such a box is
compared by the part of its own area that a whole one covers, since their IoU says little, and stands back behind it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as mask_coding

from mmdet.apis.prediction.detections import Detections
from mmdet.core.visualization.instances import to_masks
from mmdet.utils.errors import ReportedError

CUT_MARGIN = 4.0  # px; a box that ends as near as this to the border of its tile may go on behind it


class TilingError(ReportedError, ValueError):
    """Tiles that cannot be laid."""


class Tiling(NamedTuple):
    """How large images are cut."""

    size: int  # px, side of the square tiles
    overlap: float = 0.2  # fraction of the side that neighbours have in common
    iou_thr: float = 0.5  # from which boxes of several tiles are one object

    def check(self) -> 'Tiling':
        """This one, if it makes sense.

        Raises:
            TilingError: it does not.
        """
        if self.size < 1 or not 0 <= self.overlap < 1 or not 0 < self.iou_thr <= 1:
            raise TilingError(
                f'tiles of {self.size} px, overlap {self.overlap}, IoU {self.iou_thr}: expected a size of at least 1, '
                'an overlap from 0 to below 1, and an IoU above 0, up to 1'
            )
        return self


class Window(NamedTuple):
    """A part of an image, in pixels; the right and lower ends are exclusive."""

    x1: int
    y1: int
    x2: int
    y2: int


def tile_windows(width: int, height: int, tiling: Tiling) -> list[Window]:
    """The whole image and, if it is larger than a tile, the tiles in rows; those at the ends reach back for their size.

    The whole image finds what is larger than a tile.
    """
    whole = Window(0, 0, width, height)
    size = tiling.size
    if width <= size and height <= size:
        return [whole]
    columns, rows = _starts(width, tiling), _starts(height, tiling)
    return [whole, *(Window(x, y, min(x + size, width), min(y + size, height)) for y in rows for x in columns)]


def _starts(length: int, tiling: Tiling) -> list[int]:
    """Where tiles begin along a side."""
    stride = max(1, round(tiling.size * (1 - tiling.overlap)))
    last = max(0, length - tiling.size)
    return [*range(0, last, stride), last]


def merge_tiles(
    parts: Sequence[Detections], windows: Sequence[Window], size_wh: tuple[int, int], iou_thr: float
) -> Detections:
    """Detections of an image, best first.

    Args:
        parts: of each window, in its own pixels.
        windows: where they lie in the image.
        size_wh: width and height of the image.
        iou_thr: boxes of one class and of two windows are one object from this IoU on; or, if a border cuts one of
            them, from this fraction of its own area on.
    """
    moved = [_moved(part, window, size_wh) for part, window in zip(parts, windows, strict=True)]
    cut = np.concatenate([_is_cut(part.boxes, window, size_wh) for part, window in zip(moved, windows)])
    tile = np.repeat(np.arange(len(moved)), [len(part) for part in moved])
    joined = _joined(moved)
    kept = _suppress(joined, cut, tile, iou_thr)
    return joined.select(kept[np.argsort(-joined.scores[kept], kind='stable')])


def _moved(part: Detections, window: Window, size_wh: tuple[int, int]) -> Detections:
    """Detections of a window in pixels of the image."""
    shift = np.array([window.x1, window.y1, window.x1, window.y1], np.float32)
    points = part.keypoints
    if points is not None:
        points = points + np.array([window.x1, window.y1, 0], points.dtype)
    masks = part.masks
    if masks is not None:
        masks = [_moved_mask(mask, window, size_wh) for mask in masks]
    return replace(part, boxes=part.boxes + shift, masks=masks, keypoints=points)


def _moved_mask(mask: dict[str, Any], window: Window, size_wh: tuple[int, int]) -> dict[str, Any]:
    """A mask of a window as one of the image; one at a time, as a bitmap of a large image is large."""
    canvas = np.zeros((size_wh[1], size_wh[0]), np.uint8, order='F')
    canvas[window.y1 : window.y2, window.x1 : window.x2] = to_masks([mask])[0]
    return mask_coding.encode(canvas)


def _is_cut(boxes: np.ndarray, window: Window, size_wh: tuple[int, int]) -> np.ndarray:
    """(n,) whether a box ends at a border of the window that is none of the image."""
    ends = np.array(window)
    inner = ends != [0, 0, *size_wh]
    return ((np.abs(boxes - ends) <= CUT_MARGIN) & inner).any(axis=1)


def _joined(parts: Sequence[Detections]) -> Detections:
    """All detections one behind the other."""
    masks = [part.masks for part in parts if part.masks is not None]
    points = [part.keypoints for part in parts if part.keypoints is not None]
    return Detections(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.labels for part in parts]),
        [mask for of_part in masks for mask in of_part] if masks else None,
        np.concatenate(points) if points else None,
    )


def _suppress(found: Detections, cut: np.ndarray, tile: np.ndarray, iou_thr: float) -> np.ndarray:
    """Numbers of the detections that stay: whole boxes come before cut ones, then the higher score."""
    order = np.lexsort((-found.scores, cut))
    areas = (found.boxes[:, 2:] - found.boxes[:, :2]).clip(min=0).prod(axis=1)
    kept = []
    while len(order):  # one round for each box that stays
        best, order = order[0], order[1:]
        kept.append(best)
        low = np.maximum(found.boxes[best, :2], found.boxes[order, :2])
        high = np.minimum(found.boxes[best, 2:], found.boxes[order, 2:])
        common = (high - low).clip(min=0).prod(axis=1)
        # of what is covered: the union, or for a cut box its own area
        base = np.where(cut[order], areas[order], areas[best] + areas[order] - common)
        same = (found.labels[order] == found.labels[best]) & (tile[order] != tile[best])
        order = order[~(same & (common >= iou_thr * base.clip(min=1e-6)))]
    return np.array(kept, dtype=np.int64)
