"""Which class is taken for which: objects against detections, with a row and a column for the background."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mmdet.core.evaluation.bbox_overlaps import bbox_overlaps
from mmdet.ops.nms import nms
from mmdet.utils.running.progress import tracked

NORMALISATIONS = ('row', 'column', 'none')


def boxes_of_result(result: Any) -> Sequence[np.ndarray]:
    """Detections of each class (n, 5) in a result with or without masks.

    Raises:
        TypeError: the result is neither a list of arrays nor a pair that begins with one.
    """
    boxes = result[0] if isinstance(result, tuple) else result
    if not isinstance(boxes, list):
        raise TypeError(
            'results: expected for each image a list of arrays (n, 5), one for each class, or a pair of such a list '
            f'and masks, got {type(boxes).__name__}'
        )
    return boxes


def greedy_matches(overlaps: np.ndarray, scores: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Give detections, best score first, the free object that they overlap most.

    Each round settles every pair of which neither can do better, so that there are far fewer rounds than detections;
    the best of the remaining detections is always in such a pair.

    Args:
        overlaps: (n, g).
        scores: (n,).
        allowed: (n, g) bool, pairs that may be made.

    Returns:
        (n,) int64 object of each detection, -1: none. No object comes twice.
    """
    matched = np.full(len(scores), -1, dtype=np.int64)
    ranks = np.argsort(np.argsort(-scores, kind='stable'), kind='stable')
    free = allowed.copy()
    while free.any():
        best_objects = np.where(free, overlaps, -1.0).argmax(1)  # (n,) objects
        first = np.where(free, ranks[:, None], len(ranks)).argmin(0)  # (g,) detections
        dets = np.flatnonzero(free.any(1))
        dets = dets[first[best_objects[dets]] == dets]
        matched[dets] = best_objects[dets]
        free[dets] = False
        free[:, best_objects[dets]] = False
    return matched


def match_image(
    dets: np.ndarray, det_labels: np.ndarray, gt_bboxes: np.ndarray, gt_labels: np.ndarray, iou_thr: float = 0.5
) -> np.ndarray:
    """The object of each detection of one image.

    Detections first take objects of their own class, as for the mean average precision; what is left over then goes
    together whatever the classes are.

    Args:
        dets: (n, 5) xyxy px and score.
        det_labels: (n,).
        gt_bboxes: (g, 4) xyxy px.
        gt_labels: (g,).
        iou_thr: overlap from which on the two go together.

    Returns:
        (n,) int64, -1: none. No object comes twice.
    """
    overlaps = bbox_overlaps(dets[:, :4], gt_bboxes)
    near = overlaps >= iou_thr
    right = near & (det_labels[:, None] == gt_labels)
    matched = greedy_matches(overlaps, dets[:, 4], right)
    taken = np.isin(np.arange(len(gt_labels)), matched)
    others = greedy_matches(overlaps, dets[:, 4], near & (matched < 0)[:, None] & ~taken)
    return np.maximum(matched, others)


def count_image(
    dets: np.ndarray,
    det_labels: np.ndarray,
    annotation: dict[str, np.ndarray],
    num_classes: int,
    iou_thr: float = 0.5,
) -> np.ndarray:
    """Confusion matrix of one image.

    Args:
        dets, det_labels, iou_thr: see :func:`match_image`.
        annotation: ``bboxes`` (g, 4), ``labels`` (g,) and optionally ``bboxes_ignore`` (i, 4): detections without an
            object, of whose area at least ``iou_thr`` lies in one of these, are not counted.
        num_classes: K.

    Returns:
        (K + 1, K + 1) int64; see :func:`confusion_matrix`.
    """
    gt_bboxes = np.asarray(annotation['bboxes'], dtype=np.float32).reshape(-1, 4)
    gt_labels = np.asarray(annotation['labels'], dtype=np.int64)
    matched = match_image(dets, det_labels, gt_bboxes, gt_labels, iou_thr)
    ignored = annotation.get('bboxes_ignore')
    if ignored is not None and len(ignored):
        counted = (matched >= 0) | (bbox_overlaps(dets[:, :4], ignored, mode='iof').max(1, initial=0) < iou_thr)
        det_labels, matched = det_labels[counted], matched[counted]
    missed = ~np.isin(np.arange(len(gt_labels)), matched)
    with_background = np.append(gt_labels, num_classes)  # what has no object, at -1, is background
    rows = np.concatenate([with_background[matched], gt_labels[missed]])
    columns = np.concatenate([det_labels, np.full(missed.sum(), num_classes)])
    size = num_classes + 1
    return np.bincount(rows * size + columns, minlength=size * size).reshape(size, size)


def confusion_matrix(
    results: Sequence[Any],
    annotations: Sequence[dict],
    num_classes: int,
    score_thr: float = 0.3,
    iou_thr: float = 0.5,
    nms_iou_thr: float | None = None,
) -> np.ndarray:
    """Count what objects are detected as.

    Each object and each detection counts once: right, taken for another class, missed (last column), or found where
    there is nothing (last row).

    Args:
        results: for each image detections of each class (n, 5), or a pair of these and masks.
        annotations: for each image; see :func:`count_image`.
        num_classes: K, one or more.
        score_thr: detections that score less are left out.
        iou_thr: overlap from which on a detection belongs to an object.
        nms_iou_thr: if given, detections that overlap a better one of their class by more are left out first.

    Returns:
        (K + 1, K + 1) int64: row = class of the object, column = class of the detection, K = background. All but the
        last row sum up to the numbers of objects, all but the last column to the numbers of detections.

    Raises:
        ValueError: not as many results as annotations, or not K classes in a result.
    """
    if len(results) != len(annotations):
        raise ValueError(f'confusion_matrix: results of {len(results)} images but annotations of {len(annotations)}')
    matrix = np.zeros((num_classes + 1, num_classes + 1), dtype=np.int64)
    pairs = zip(results, annotations)
    for result, annotation in tracked(pairs, 'counting confusions', len(results)):
        boxes = boxes_of_result(result)
        if len(boxes) != num_classes:
            raise ValueError(f'confusion_matrix: a result has {len(boxes)} classes, the data set {num_classes}')
        boxes = [_confident(of_class, score_thr, nms_iou_thr) for of_class in boxes]
        labels = np.repeat(np.arange(num_classes), [len(of_class) for of_class in boxes])
        matrix += count_image(np.concatenate(boxes), labels, annotation, num_classes, iou_thr)
    return matrix


def _confident(dets: np.ndarray, score_thr: float, nms_iou_thr: float | None) -> np.ndarray:
    """Detections of one class (n, 5) that score enough, and do not overlap a better one."""
    dets = np.asarray(dets, dtype=np.float32).reshape(-1, 5)
    dets = dets[dets[:, 4] >= score_thr]
    if nms_iou_thr is None or not len(dets):
        return dets
    kept = nms(torch.from_numpy(dets[:, :4]), torch.from_numpy(dets[:, 4]), nms_iou_thr)[1]
    return dets[kept.numpy()]


def normalised(matrix: np.ndarray, by: str = 'row') -> np.ndarray:
    """Shares instead of numbers.

    Args:
        matrix: (K + 1, K + 1) counts.
        by: ``'row'`` (of the objects of each class; of all false finds in the last row), ``'column'`` (of the
            detections of each class) or ``'none'``.

    Returns:
        (K + 1, K + 1) float64; rows (columns) sum up to 1, or are 0 where there is nothing.

    Raises:
        ValueError: another ``by``.
    """
    if by not in NORMALISATIONS:
        raise ValueError(f'by: expected one of {", ".join(NORMALISATIONS)}, got {by!r}')
    if by == 'none':
        return matrix.astype(np.float64)
    return matrix / np.maximum(matrix.sum(axis=1 if by == 'row' else 0, keepdims=True), 1)
