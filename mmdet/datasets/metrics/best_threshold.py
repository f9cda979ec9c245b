"""Precision against recall of each class, and the score from which on F1 is best; boxes, at IoU 0.5."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmdet.datasets.metrics.coco_fast_eval import Boxes, Matches, gather, match, unique_ids

MAX_DETS = 100  # detections of a class and image that count, as in COCO's first figure
ALL_AREAS = np.array([[0, 1e10]])


class Curve(NamedTuple):
    """Precision against recall, by falling score."""

    scores: list[float]
    precisions: list[float]
    recalls: list[float]


class Threshold(NamedTuple):
    """The score from which on F1 of a class is best, and what it gives."""

    score: float
    precision: float
    recall: float
    f1: float


class ClassMatches(NamedTuple):
    """What became of the n detections of one class, best first."""

    objects: int  # to find
    scores: NDArray[Any]  # (n,) falling
    matches: Matches  # of these


def matches_by_class(
    objects: Boxes, detections: Boxes, iou_thrs: NDArray[Any], num_images: int, num_classes: int
) -> Iterator[ClassMatches]:
    """Match detections with objects, and give class after class.

    Args:
        objects: their cells are class * images + image; crowds are regions to ignore.
        detections: likewise; the best ``MAX_DETS`` of a class and image count.
        iou_thrs: (T,).
        num_images: I.
        num_classes: K.
    """
    detections = detections.take(np.flatnonzero(detections.ranks() < MAX_DETS))
    matches = match(objects, detections, iou_thrs, ALL_AREAS)
    for label in range(num_classes):
        rows = np.flatnonzero(detections.cells // num_images == label)
        rows = rows[np.argsort(-detections.scores[rows], kind='stable')]
        total = int((~objects.crowd & (objects.cells // num_images == label)).sum())
        yield ClassMatches(total, detections.scores[rows], Matches(*(part[rows] for part in matches)))


def curve_of(own: ClassMatches) -> Curve:
    """The curve of a class at the first threshold of overlap, a point for each score that occurs."""
    counted = ~own.matches.ignored[:, 0, 0]
    hits, scores = own.matches.matched[counted, 0, 0], own.scores[counted]
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True)) if len(scores) else np.zeros(0, int)
    true = hits.cumsum()[last]
    return Curve(scores[last].tolist(), (true / (last + 1)).tolist(), (true / max(own.objects, 1)).tolist())


def best_threshold(curve: Curve) -> Threshold | None:
    """Where F1 of a curve is greatest; None where nothing is found.

    The threshold lies halfway between the last score that is kept and the next one that is not (0 where there is
    none), so that ``>`` and ``>=`` mean the same.
    """
    precisions, recalls = np.asarray(curve.precisions), np.asarray(curve.recalls)
    f1 = 2 * precisions * recalls / np.maximum(precisions + recalls, 1e-12)
    if not f1.any():
        return None
    best = int(f1.argmax())
    lower = curve.scores[best + 1] if best + 1 < len(curve.scores) else 0.0
    return Threshold((curve.scores[best] + lower) / 2, float(precisions[best]), float(recalls[best]), float(f1[best]))


class CategoryThreshold(NamedTuple):
    """Of one category that has objects to find."""

    cat_id: int
    best: Threshold | None  # None: none of them is found


def category_thresholds(
    annotations: Sequence[dict], detections: Sequence[dict], cat_ids: Sequence[int], img_ids: Sequence[int]
) -> list[CategoryThreshold]:
    """Best thresholds of the categories that have objects to find, by rising id.

    Args:
        annotations: entries of an annotation file in COCO's format.
        detections: entries of COCO's results.
        cat_ids: categories that count.
        img_ids: images that count.
    """
    parts = (gather(entries, cat_ids, img_ids) for entries in (annotations, detections))
    ids, num_images = unique_ids(cat_ids), len(unique_ids(img_ids))
    by_class = matches_by_class(*parts, np.array([0.5]), num_images, len(ids))
    return [CategoryThreshold(cat, best_threshold(curve_of(own))) for cat, own in zip(ids, by_class) if own.objects]
