"""Which detections lie on annotated objects, and which where nothing is annotated."""

from typing import NamedTuple

import numpy as np
import torch

from mmdet.apis.label_errors.labelled_images import Detections, LabelledImage
from mmdet.core.evaluation.bbox_overlaps import bbox_overlaps
from mmdet.ops import nms

SAME_PLACE = 0.2  # IoU above which two boxes are at one place
SAME_BOX = 0.5  # IoU above which two detections are one, whatever their classes
IN_IGNORED = 0.5  # part of a detection in an ignore region from which on nothing is said about it
MATCHED, FREE, OTHER = 0, 1, 2  # kinds of detections


class Matches(NamedTuple):
    """The detections of an image without those that repeat another, best first."""

    found: Detections
    kind: np.ndarray  # (D,) MATCHED: the best at an annotated object; FREE: the best where nothing is annotated
    nearest: np.ndarray  # (D,) number of the object with the greatest overlap; -1: the image has none
    overlap: np.ndarray  # (D,) IoU with it


def without_repeats(found: Detections, iou: float = SAME_BOX) -> Detections:
    """Detections (best first) of which no two, of whatever classes, overlap by more than ``iou``."""
    return Detections(*(part[kept_by_nms(found.boxes, found.scores, iou)] for part in found))


def kept_by_nms(boxes: np.ndarray, scores: np.ndarray, iou: float) -> np.ndarray:
    """(k,) numbers, in order, of the boxes (n, 4) that suppression leaves."""
    _, kept = nms(torch.from_numpy(boxes), torch.from_numpy(scores), iou)
    return np.sort(kept.numpy())


def match_image(image: LabelledImage, found: Detections) -> Matches:
    """Compare the detections of an image with its objects.

    The same is asked of both kinds, so that their numbers can be compared: the best detection at a place counts, be the
    place that of an annotated object or one where nothing is annotated. Classes are left aside: an object that the
    detector takes for another class has been found, and is no missing one.
    """
    found = without_repeats(found)
    count = len(found.scores)
    nearest, overlap = np.full(count, -1), np.zeros(count, np.float32)
    if len(image.boxes):
        overlaps = bbox_overlaps(found.boxes, image.boxes)  # (D, G)
        nearest, overlap = overlaps.argmax(1), overlaps.max(1)
    kind = np.full(count, OTHER)
    on_object = np.flatnonzero(overlap > SAME_PLACE)
    _, first = np.unique(nearest[on_object], return_index=True)  # detections stand best first
    kind[on_object[first]] = MATCHED
    apart = overlap <= SAME_PLACE
    if len(image.ignored):
        apart &= bbox_overlaps(found.boxes, image.ignored, mode='iof').max(1) < IN_IGNORED
    free = np.flatnonzero(apart)
    kind[free[kept_by_nms(found.boxes[free], found.scores[free], SAME_PLACE)]] = FREE
    return Matches(found, kind, nearest, overlap)
