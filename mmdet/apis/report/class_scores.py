"""How well each class is found: average precision, the curve of precision against recall, and the best threshold."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmdet.apis.report.samples import Sample
from mmdet.datasets.metrics.coco_fast_eval import Boxes, Matches, match, precision_recall
from mmdet.datasets.metrics.coco_metrics import DEFAULT_IOU_THRS
from mmdet.utils.atomic_write import atomic_write
from mmdet.utils.errors import ReportedError

MAX_DETS = 100  # detections of a class and image that count, as in COCO's first figure
CURVE_POINTS = 200  # of a curve that is drawn, at most; fewer of many classes:
ALL_POINTS = 40_000  # of all curves
RECALLS = np.linspace(0, 1, 101)
ALL_AREAS = np.array([[0, 1e10]])
FIELDS = ('name', 'objects', 'detections', 'ap', 'ap50', 'ap75', 'threshold', 'precision', 'recall', 'f1')


class ThresholdFileError(ReportedError, ValueError):
    """The name of a file of thresholds has an ending that says no known format."""


class Curve(NamedTuple):
    """Precision against recall at IoU 0.5, by falling score."""

    scores: list[float]
    precisions: list[float]
    recalls: list[float]


class ClassScores(NamedTuple):
    """One class; None is what does not exist, as without objects there is nothing to find."""

    name: str
    objects: int
    detections: int
    ap: float | None  # mean over IoU 0.50:0.95
    ap50: float | None
    ap75: float | None
    threshold: float | None  # score from which on F1 at IoU 0.5 is best
    precision: float | None  # at the threshold, as the next two
    recall: float | None
    f1: float | None
    curve: Curve

    def row(self) -> list[Any]:
        """The values of ``FIELDS``; empty texts for what does not exist."""
        return ['' if value is None else value for value in self[: len(FIELDS)]]


def class_scores(images: Sequence[Sample]) -> list[ClassScores]:
    """Scores of each class of a data set's images.

    Average precision is COCO's over at most 100 detections of a class and image. What lies in a region to ignore is
    neither true nor false, for the region's class where it is known, else for all.
    """
    if not images:
        return []
    names = images[0].class_names
    objects, detections = _objects(images, len(names)), _detections(images, len(names))
    detections = detections.take(np.flatnonzero(detections.ranks() < MAX_DETS))
    matches = match(objects, detections, np.asarray(DEFAULT_IOU_THRS), ALL_AREAS)
    out = []
    for label, name in enumerate(names):
        rows = np.flatnonzero(detections.cells // len(images) == label)
        rows = rows[np.argsort(-detections.scores[rows], kind='stable')]
        total = int((~objects.crowd & (objects.cells // len(images) == label)).sum())
        own = Matches(*(part[rows] for part in matches))
        out.append(_scores(name, total, detections.scores[rows], own, max(20, ALL_POINTS // len(names))))
    return out


def _objects(images: Sequence[Sample], num_classes: int) -> Boxes:
    """Ground truth of all images as the fast evaluation wants it; regions to ignore are its crowds."""
    labels, places, boxes, crowd = [], [], [], []
    for place, image in enumerate(images):
        ann = image.annotation
        own = np.asarray(ann['bboxes'], np.float64).reshape(-1, 4)
        ignored = ann.get('bboxes_ignore')
        ignored = np.zeros((0, 4)) if ignored is None else np.asarray(ignored, np.float64).reshape(-1, 4)
        known = ann.get('labels_ignore')
        if known is None:
            known = np.tile(np.arange(num_classes), len(ignored))
            ignored = np.repeat(ignored, num_classes, 0)
        labels += [np.asarray(ann['labels'], np.int64), np.asarray(known, np.int64)]
        boxes += [own, ignored]
        crowd += [np.zeros(len(own), bool), np.ones(len(ignored), bool)]
        places += [np.full(len(own) + len(ignored), place)]
    cells = np.concatenate(labels) * len(images) + np.concatenate(places)
    return _sorted(cells, np.concatenate(boxes), np.zeros(len(cells)), np.concatenate(crowd))


def _detections(images: Sequence[Sample], num_classes: int) -> Boxes:
    cells, boxes = [np.zeros(0, np.int64)], [np.zeros((0, 5))]
    for place, image in enumerate(images):
        for label in range(num_classes):
            boxes.append(image.boxes[label].astype(np.float64))
            cells.append(np.full(len(boxes[-1]), label * len(images) + place, np.int64))
    rows = np.concatenate(boxes)
    return _sorted(np.concatenate(cells), rows[:, :4], rows[:, 4], np.zeros(len(rows), bool))


def _sorted(cells: NDArray[Any], xyxy: NDArray[Any], scores: NDArray[Any], crowd: NDArray[Any]) -> Boxes:
    xywh = np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], 1)
    return Boxes(cells, xywh, xywh[:, 2] * xywh[:, 3], scores, crowd).take(np.lexsort((-scores, cells)))


def _scores(name: str, objects: int, scores: NDArray[Any], matches: Matches, points: int) -> ClassScores:
    """Figures of one class; ``scores`` (n,) fall, ``matches`` (n, 1, 10) belong to them."""
    counted = ~matches.ignored[:, 0, 0]
    hits = (matches.matched[:, 0, 0] & counted)[counted]
    count = int(counted.sum())
    if not objects:
        return ClassScores(name, 0, count, None, None, None, None, None, None, None, Curve([], [], []))
    by_threshold = precision_recall(matches, np.array([objects]), RECALLS)[0][0].mean(-1)  # (10,)
    ap, ap50, ap75 = float(by_threshold.mean()), float(by_threshold[0]), float(by_threshold[5])
    curve = _curve(scores[counted], hits, objects)
    threshold, precision, recall, f1 = best_threshold(curve) or (None, None, None, None)
    return ClassScores(name, objects, count, ap, ap50, ap75, threshold, precision, recall, f1, _thinned(curve, points))


def _curve(scores: NDArray[Any], hits: NDArray[Any], objects: int) -> Curve:
    """Points of a curve, one for each score that occurs."""
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True)) if len(scores) else np.zeros(0, int)
    true = hits.cumsum()[last]
    return Curve(scores[last].tolist(), (true / (last + 1)).tolist(), (true / objects).tolist())


def best_threshold(curve: Curve) -> tuple[float, float, float, float] | None:
    """Threshold, precision, recall and F1 where F1 is greatest; None where nothing is found.

    The threshold lies halfway between the last score that is kept and the next one that is not (0 where there is
    none), so that ``>`` and ``>=`` mean the same.
    """
    precisions, recalls = np.asarray(curve.precisions), np.asarray(curve.recalls)
    f1 = 2 * precisions * recalls / np.maximum(precisions + recalls, 1e-12)
    if not f1.any():
        return None
    best = int(f1.argmax())
    lower = curve.scores[best + 1] if best + 1 < len(curve.scores) else 0.0
    return (curve.scores[best] + lower) / 2, float(precisions[best]), float(recalls[best]), float(f1[best])


def _thinned(curve: Curve, points: int) -> Curve:
    """At most so many points, and not above ``CURVE_POINTS``, evenly over the curve, its ends among them."""
    points = min(points, CURVE_POINTS)
    if len(curve.scores) <= points:
        return curve
    chosen = np.linspace(0, len(curve.scores) - 1, points).round().astype(int)
    return Curve(*([values[i] for i in chosen] for values in curve))


def thresholds_by_class(scores: Sequence[ClassScores], score_thr: float | None) -> list[float]:
    """A threshold for each class: the given one for all, else that of the best F1; 0.5 where there is none."""
    if score_thr is not None:
        return [score_thr] * len(scores)
    return [0.5 if own.threshold is None else own.threshold for own in scores]


def write_thresholds(scores: Sequence[ClassScores], path: Path) -> None:
    """Write thresholds and figures of each class, as JSON (by class) or CSV, as the ending says.

    Raises:
        ThresholdFileError: another ending.
    """
    if path.suffix not in ('.json', '.csv'):
        raise ThresholdFileError(f'thresholds are written as .json or .csv, not {path.name}')
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, encoding='utf-8') as file:
        if path.suffix == '.json':
            content: Mapping[str, Any] = {own.name: dict(zip(FIELDS[1:], own[1 : len(FIELDS)])) for own in scores}
            json.dump(content, file, indent=1)
        else:
            writer = csv.writer(file)
            writer.writerow(FIELDS)
            writer.writerows(own.row() for own in scores)


def curves_csv(scores: Sequence[ClassScores]) -> str:
    """The drawn points of all curves, a line each."""
    lines = ['class,score,precision,recall']
    for own in scores:
        quoted = '"' + own.name.replace('"', '""') + '"'
        lines += [f'{quoted},{s:.6g},{p:.6g},{r:.6g}' for s, p, r in zip(*own.curve)]
    return '\n'.join(lines) + '\n'
