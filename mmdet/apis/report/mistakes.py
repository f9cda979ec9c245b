"""What each detection is: right, or wrong in which way; which objects are missed; and the examples worth a look."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmdet.apis.report.samples import Sample
from mmdet.core.evaluation.bbox_overlaps import bbox_overlaps
from mmdet.core.evaluation.confusion_matrix import count_image, match_image

IOU_THR = 0.5  # overlap from which on a detection belongs to an object
NEAR_IOU = 0.1  # and from which on it was meant for it
CORRECT, MISSED = 'correct', 'missed'
FALSE = WRONG_CLASS, DUPLICATE, POORLY_PLACED, BACKGROUND = ('wrong class', 'duplicate', 'poorly placed', 'background')
KINDS = {
    CORRECT: 'an object of this class, overlap at least 0.5',
    WRONG_CLASS: 'an object of another class, overlap at least 0.5',
    DUPLICATE: 'an object of this class that a better detection has',
    POORLY_PLACED: 'an object of this class, overlap 0.1 to 0.5',
    BACKGROUND: 'nothing that is annotated',
    MISSED: 'an object that no detection overlaps by 0.5',
}
MAX_OF_IMAGE = 3  # examples of one group that come from one image


class Detected(NamedTuple):
    """One image's detections above the thresholds, best first, and its objects."""

    sample: Sample
    dets: NDArray[Any]  # (n, 5) xyxy px and score
    labels: NDArray[Any]  # (n,)
    kinds: list[str | None]  # n; None: in a region to ignore, where it does not count
    objects: NDArray[Any]  # (n,) object that was matched or meant, -1: none
    overlaps: NDArray[Any]  # (n,) with that object
    missed: NDArray[Any]  # (g,) bool, of the objects


class Example(NamedTuple):
    """Something to look at."""

    image: int  # number of the image in the data set
    kind: str
    label: int  # of the detection, or of the object that is missed
    score: float | None  # of a missed object the best below the threshold; None: nothing was there
    box: tuple[float, ...]  # xyxy px
    other: int | None  # label of the object that it was taken for
    overlap: float


def detect(sample: Sample, thresholds: Sequence[float]) -> Detected:
    """Compare the detections of an image that reach their class's threshold with its objects."""
    kept = [dets[dets[:, 4] >= thr] for dets, thr in zip(sample.boxes, thresholds)]
    dets, labels = np.concatenate(kept), np.repeat(np.arange(len(kept)), [len(own) for own in kept])
    order = np.argsort(-dets[:, 4], kind='stable')
    dets, labels = dets[order], labels[order]
    gts = np.asarray(sample.annotation['bboxes'], np.float32).reshape(-1, 4)
    gt_labels = np.asarray(sample.annotation['labels'], np.int64)
    matched = match_image(dets, labels, gts, gt_labels, IOU_THR)
    overlaps = bbox_overlaps(dets[:, :4], gts)
    same = labels[:, None] == gt_labels
    ignored = sample.annotation.get('bboxes_ignore')
    covered = np.zeros(len(dets), bool)
    if ignored is not None and len(ignored):
        covered = bbox_overlaps(dets[:, :4], ignored, mode='iof').max(1, initial=0) >= IOU_THR
    kinds, objects = [], []
    for i, own in enumerate(matched.tolist()):
        kind, meant = _kind(own, overlaps[i], same[i], bool(covered[i]))
        kinds.append(kind)
        objects.append(meant)
    chosen = np.asarray(objects, np.int64)
    missed = ~np.isin(np.arange(len(gts)), matched)
    known = np.where(chosen >= 0, overlaps[np.arange(len(dets)), chosen], 0.0) if len(gts) else np.zeros(len(dets))
    return Detected(sample, dets, labels, kinds, chosen, known, missed)


def _kind(own: int, overlaps: NDArray[Any], same: NDArray[Any], covered: bool) -> tuple[str | None, int]:
    """The kind of one detection and the object meant.

    Args:
        own: the object that it is matched with, -1: none.
        overlaps: (g,) with all objects.
        same: (g,) bool, objects of its class.
        covered: whether it lies in a region to ignore.
    """
    if own >= 0:
        return (CORRECT if same[own] else WRONG_CLASS), own
    if covered:
        return None, -1
    if not len(overlaps):
        return BACKGROUND, -1
    of_same = int(np.where(same, overlaps, -1).argmax())
    of_other = int(np.where(same, -1, overlaps).argmax())
    if same[of_same] and overlaps[of_same] >= IOU_THR:
        return DUPLICATE, of_same
    if not same[of_other] and overlaps[of_other] >= IOU_THR:
        return WRONG_CLASS, of_other
    if same[of_same] and overlaps[of_same] >= NEAR_IOU:
        return POORLY_PLACED, of_same
    return BACKGROUND, -1


def confusion(detected: Iterable[Detected], num_classes: int) -> NDArray[Any]:
    """(K + 1, K + 1) counts: see :func:`~mmdet.core.evaluation.confusion_matrix.confusion_matrix`."""
    matrix = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    for image in detected:
        matrix += count_image(image.dets, image.labels, image.sample.annotation, num_classes, IOU_THR)
    return matrix


def count_kinds(detected: Iterable[Detected], num_classes: int) -> list[dict[str, int]]:
    """For each class how many detections, or missed objects, there are of each kind."""
    counts: list[Counter[str]] = [Counter() for _ in range(num_classes)]
    for image in detected:
        for label, kind in zip(image.labels.tolist(), image.kinds):
            if kind is not None:
                counts[label][kind] += 1
        for label in np.asarray(image.sample.annotation['labels'])[image.missed].tolist():
            counts[label][MISSED] += 1
    return [{kind: own[kind] for kind in KINDS} for own in counts]


def examples(detected: Sequence[Detected], count: int) -> list[Example]:
    """The worst false detections (highest scores), the worst misses (largest objects) and the best detections.

    Args:
        detected: all images.
        count: at most so many of each of the three, not more than ``MAX_OF_IMAGE`` of one image.
    """
    found = [example for image in detected for example in _found(image)]
    missed = [example for image in detected for example in _missed(image)]
    found.sort(key=lambda e: -(e.score or 0))
    missed.sort(key=lambda e: -(e.box[2] - e.box[0]) * (e.box[3] - e.box[1]))
    false = [e for e in found if e.kind in FALSE]
    right = [e for e in found if e.kind == CORRECT]
    return [*_spread(false, count), *_spread(missed, count), *_spread(right, count)]


def _spread(ranked: Sequence[Example], count: int) -> list[Example]:
    """The first so many, not too many of one image."""
    seen: Counter[int] = Counter()
    out: list[Example] = []
    for example in ranked:
        if len(out) < count and seen[example.image] < MAX_OF_IMAGE:
            seen[example.image] += 1
            out.append(example)
    return out


def _found(image: Detected) -> list[Example]:
    gt_labels = np.asarray(image.sample.annotation['labels'], np.int64)
    out = []
    for i, kind in enumerate(image.kinds):
        if kind is None:
            continue
        meant = int(image.objects[i])
        other = int(gt_labels[meant]) if meant >= 0 else None
        box = tuple(image.dets[i, :4].tolist())
        score, label = float(image.dets[i, 4]), int(image.labels[i])
        out.append(Example(image.sample.number, kind, label, score, box, other, float(image.overlaps[i])))
    return out


def _missed(image: Detected) -> list[Example]:
    annotation = image.sample.annotation
    boxes = np.asarray(annotation['bboxes'], np.float32).reshape(-1, 4)
    out = []
    for i in np.flatnonzero(image.missed).tolist():
        label = int(annotation['labels'][i])
        dets = image.sample.boxes[label]
        near = dets[bbox_overlaps(dets[:, :4], boxes[i : i + 1])[:, 0] >= IOU_THR] if len(dets) else dets
        score = float(near[:, 4].max()) if len(near) else None
        out.append(Example(image.sample.number, MISSED, label, score, tuple(boxes[i].tolist()), None, 0.0))
    return out
