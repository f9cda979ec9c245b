"""How well each class is found: average precision, the curve of precision against recall, and the best threshold."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmdet.apis.report.samples import Sample
from mmdet.datasets.metrics.best_threshold import ClassMatches, Curve, best_threshold, curve_of, matches_by_class
from mmdet.datasets.metrics.coco_fast_eval import Boxes, precision_recall
from mmdet.datasets.metrics.coco_metrics import DEFAULT_IOU_THRS
from mmdet.utils.atomic_write import atomic_write
from mmdet.utils.errors import ReportedError

CURVE_POINTS = 200  # of a curve that is drawn, at most; fewer of many classes:
ALL_POINTS = 40_000  # of all curves
RECALLS = np.linspace(0, 1, 101)
FIELDS = ('name', 'objects', 'detections', 'ap', 'ap50', 'ap75', 'threshold', 'precision', 'recall', 'f1')


class ThresholdFileError(ReportedError, ValueError):
    """The name of a file of thresholds has an ending that says no known format."""


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
    by_class = matches_by_class(
        _objects(images, len(names)),
        _detections(images, len(names)),
        np.asarray(DEFAULT_IOU_THRS),
        len(images),
        len(names),
    )
    return [_scores(name, own, max(20, ALL_POINTS // len(names))) for name, own in zip(names, by_class)]


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


def _scores(name: str, own: ClassMatches, points: int) -> ClassScores:
    """Figures of one class, from its matches at COCO's ten thresholds of overlap."""
    count = int((~own.matches.ignored[:, 0, 0]).sum())
    if not own.objects:
        return ClassScores(name, 0, count, None, None, None, None, None, None, None, Curve([], [], []))
    by_threshold = precision_recall(own.matches, np.array([own.objects]), RECALLS)[0][0].mean(-1)  # (10,)
    ap, ap50, ap75 = float(by_threshold.mean()), float(by_threshold[0]), float(by_threshold[5])
    curve = curve_of(own)
    threshold, precision, recall, f1 = best_threshold(curve) or (None, None, None, None)
    drawn = _thinned(curve, points)
    return ClassScores(name, own.objects, count, ap, ap50, ap75, threshold, precision, recall, f1, drawn)


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


def check_thresholds_name(path: Path) -> None:
    """Raise a ThresholdFileError where the ending says no format that :func:`write_thresholds` knows."""
    if path.suffix not in ('.json', '.csv'):
        raise ThresholdFileError(f'thresholds are written as .json or .csv, not {path.name}')


def write_thresholds(scores: Sequence[ClassScores], path: Path) -> None:
    """Write thresholds and figures of each class, as JSON (by class) or CSV, as the ending says.

    Raises:
        ThresholdFileError: another ending.
    """
    check_thresholds_name(path)
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
