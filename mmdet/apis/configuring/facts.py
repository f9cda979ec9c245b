"""What is known of the data before a training: sizes of images and boxes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

RECT_NUMBERS = 8  # of a polygon that is but a box


class Facts(NamedTuple):
    """Figures of a training set."""

    images: int
    boxes: int
    size_wh: tuple[int, int]  # px, median of the images' long and short sides
    box_wh: np.ndarray  # (n, 2) px, width and height of the boxes in images of that size
    has_masks: bool  # whether an object has an outline of its own

    @property
    def side(self) -> float:
        """Median of the boxes' geometric mean side, px; 0 without boxes."""
        return float(np.median(np.sqrt(self.box_wh.prod(1)))) if len(self.box_wh) else 0.0


def find_facts(contents: Sequence[dict[str, Any]]) -> Facts:
    """The figures of COCO files taken together."""
    sizes, boxes, masks = [], [], False
    for content in contents:
        size_of = {image['id']: (image['width'], image['height']) for image in content['images']}
        sizes += [sorted(size, reverse=True) for size in size_of.values()]
        for ann in content['annotations']:
            if ann['image_id'] in size_of and 'bbox' in ann and not ann.get('iscrowd'):
                boxes.append((*ann['bbox'][2:], max(size_of[ann['image_id']])))
            outline = ann.get('segmentation')
            masks = masks or isinstance(outline, dict) or bool(outline and len(outline[0]) != RECT_NUMBERS)
    long, short = np.median(np.asarray(sizes).reshape(-1, 2), axis=0) if sizes else (0, 0)
    table = np.asarray(boxes, dtype=float).reshape(-1, 3)
    box_wh = table[:, :2] * (long / np.maximum(table[:, 2:], 1))
    return Facts(len(sizes), len(boxes), (round(float(long)), round(float(short))), box_wh, masks)


def covered(box_wh: np.ndarray, anchor_wh: np.ndarray, min_iou: float = 0.5) -> float:
    """Fraction of boxes for which an anchor with the same centre has an IoU of at least ``min_iou``; 1 without boxes.

    Args:
        box_wh: (n, 2) px.
        anchor_wh: (a, 2) px.
    """
    if not len(box_wh):
        return 1.0
    inter = np.minimum(box_wh[:, None], anchor_wh[None]).prod(2)
    union = box_wh.prod(1)[:, None] + anchor_wh.prod(1)[None] - inter
    return float((inter / np.maximum(union, 1e-9) >= min_iou).any(1).mean())
