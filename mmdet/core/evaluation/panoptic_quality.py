"""Panoptic quality (https://arxiv.org/abs/1801.00868).

A segment of the prediction and one of the ground truth match where they have one category and an IoU above 0.5; such a
match is unique. PQ = SQ * RQ, with SQ the mean IoU of the matches and RQ = TP / (TP + FP / 2 + FN / 2).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from mmdet.core.evaluation.panoptic_utils import VOID

MATCH_IOU = 0.5
ID_BITS = 24  # ids are colours of three bytes


class Segments(NamedTuple):
    """Segments of one picture, sorted by id."""

    ids: np.ndarray  # (n,) int64, none of them VOID
    categories: np.ndarray  # (n,) int64
    is_crowd: np.ndarray  # (n,) bool


class Overlaps(NamedTuple):
    """Areas, px, of two pictures; row and column 0 stand for all pixels of no known segment."""

    areas: np.ndarray  # (1 + G, 1 + P)

    @property
    def gt(self) -> np.ndarray:
        """(G,) of the segments of the ground truth."""
        return self.areas.sum(1)[1:]

    @property
    def pred(self) -> np.ndarray:
        """(P,) of the predicted segments."""
        return self.areas.sum(0)[1:]


def make_segments(infos: list[dict]) -> Segments:
    """Segments from the entries ``segments_info`` of a COCO panoptic file: ``id``, ``category_id``, ``iscrowd``.

    Raises:
        ValueError: an id is there twice, or is that of void.
    """
    infos = sorted(infos, key=lambda info: info['id'])
    ids = np.asarray([info['id'] for info in infos], dtype=np.int64)
    if len(np.unique(ids)) != len(ids) or (ids == VOID).any():
        raise ValueError(f'segments_info: ids must differ from one another and from {VOID} (void), got {ids.tolist()}')
    return Segments(
        ids,
        np.asarray([info['category_id'] for info in infos], dtype=np.int64),
        np.asarray([info.get('iscrowd', 0) for info in infos], dtype=bool),
    )


def overlap_areas(gt_ids: np.ndarray, pred_ids: np.ndarray, gt: Segments, pred: Segments) -> Overlaps:
    """How many pixels each pair of segments shares.

    Args:
        gt_ids, pred_ids: (h, w) ids of the two pictures, in [0, 256^3).
        gt, pred: their segments.

    Raises:
        ValueError: the pictures differ in size, or one of the prediction's has an id of no segment or a segment
            without a pixel.
    """
    if gt_ids.shape != pred_ids.shape:
        raise ValueError(f'the pictures differ in size: ground truth {gt_ids.shape}, prediction {pred_ids.shape}')
    pairs = (gt_ids.astype(np.int64) << ID_BITS | pred_ids).ravel()
    # neighbours mostly belong to the same pair: counting runs instead of pixels saves the sorting of all pixels
    starts = np.flatnonzero(np.r_[True, pairs[1:] != pairs[:-1]]) if pairs.size else np.zeros(0, np.int64)
    lengths = np.diff(np.r_[starts, pairs.size])
    unique, inverse = np.unique(pairs[starts], return_inverse=True)
    counts = np.bincount(inverse.ravel(), weights=lengths, minlength=len(unique))
    of_pred = unique & (1 << ID_BITS) - 1
    rows, columns = _places(unique >> ID_BITS, gt.ids), _places(of_pred, pred.ids)
    stray = of_pred[(columns == 0) & (of_pred != VOID)]
    if len(stray):
        raise ValueError(f'the prediction has pixels of the ids {np.unique(stray).tolist()}, but no such segments')
    areas = np.zeros((1 + len(gt.ids), 1 + len(pred.ids)))
    np.add.at(areas, (rows, columns), counts)
    missing = pred.ids[areas.sum(0)[1:] == 0]
    if len(missing):
        raise ValueError(f'the prediction has the segments {missing.tolist()}, but no pixels of them')
    return Overlaps(areas)


def _places(values: np.ndarray, sorted_ids: np.ndarray) -> np.ndarray:
    """1 + the place of each value among the ids, 0 for values that are not there."""
    if not len(sorted_ids):
        return np.zeros(len(values), dtype=np.int64)
    places = np.searchsorted(sorted_ids, values).clip(max=len(sorted_ids) - 1)
    return np.where(sorted_ids[places] == values, places + 1, 0)


def quality_counts(overlaps: Overlaps, gt: Segments, pred: Segments) -> np.ndarray:
    """What each segment adds to the quality of its category: (G + P, 4), the segments of the ground truth first.

    Columns: IoU of its match, matches (of the ground truth's), mistakes (of the prediction's), misses.
    """
    same = gt.categories[:, None] == pred.categories
    candidates = same & ~gt.is_crowd[:, None]
    inter = overlaps.areas[1:, 1:]
    # void of the ground truth counts for no segment
    union = overlaps.gt[:, None] + overlaps.pred - inter - overlaps.areas[0, 1:]
    iou = np.where(candidates, inter / np.maximum(union, 1), 0)
    matched = iou > MATCH_IOU
    missed = ~matched.any(1) & ~gt.is_crowd
    # what lies mostly on void, or on a crowd of its category, is no mistake
    excused = overlaps.areas[0, 1:] + (inter * (same & gt.is_crowd[:, None])).sum(0)
    wrong = ~matched.any(0) & (excused / overlaps.pred <= MATCH_IOU)
    of_gt = np.stack([(iou * matched).sum(1), matched.any(1), np.zeros(len(gt.ids)), missed], axis=1)
    of_pred = np.stack([np.zeros(len(pred.ids))] * 2 + [wrong, np.zeros(len(pred.ids))], axis=1)
    return np.concatenate([of_gt, of_pred])


class PQStat:
    """Sums over images: for each category the IoU of the matches, and how many matches, mistakes and misses there are.

    Two of them add up. ``stat[category]`` is an array (4,): IoU, true positives, false positives, false negatives.
    """

    def __init__(self) -> None:
        self.pq_per_cat: dict[int, np.ndarray] = {}

    def __getitem__(self, category: int) -> np.ndarray:
        return self.pq_per_cat.get(category, np.zeros(4))

    def __iadd__(self, other: 'PQStat') -> 'PQStat':
        for category, counts in other.pq_per_cat.items():
            self.pq_per_cat[category] = self[category] + counts
        return self

    def add_image(self, gt_ids: np.ndarray, pred_ids: np.ndarray, gt: Segments, pred: Segments) -> None:
        """Count the segments of one image; arguments and errors as of :func:`overlap_areas`."""
        counts = quality_counts(overlap_areas(gt_ids, pred_ids, gt, pred), gt, pred)
        categories, rows = np.unique(np.r_[gt.categories, pred.categories], return_inverse=True)
        sums = np.zeros((len(categories), 4))
        np.add.at(sums, rows.ravel(), counts)
        for category, row in zip(categories.tolist(), sums):
            self.pq_per_cat[category] = self[category] + row

    def pq_average(
        self, categories: Mapping[int, Mapping[str, Any]], isthing: bool | None = None
    ) -> tuple[dict[str, float], dict[int, dict[str, float]]]:
        """Means over the categories that occur, and the figures of each category.

        Args:
            categories: category id -> entry of the annotation file, with ``isthing``.
            isthing: only things (True) or only stuff (False); None: all.

        Returns:
            ``pq``, ``sq``, ``rq`` in [0, 1] and ``n``, the number of categories that occur; category id -> ``pq``,
            ``sq``, ``rq``. Zeros where there is nothing.
        """
        per_class, present = {}, []
        for category, entry in categories.items():
            if isthing is not None and bool(entry['isthing']) != isthing:
                continue
            iou, tp, fp, fn = self[category].tolist()
            weight = tp + fp / 2 + fn / 2
            scale = max(weight, 0.5)  # half a segment is the least that there can be
            per_class[category] = dict(pq=iou / scale, sq=iou / max(tp, 1), rq=tp / scale)
            if weight:
                present.append(per_class[category])
        n = len(present)
        means = {name: sum(figures[name] for figures in present) / max(n, 1) for name in ('pq', 'sq', 'rq')}
        return dict(means, n=n), per_class
