"""COCO's box metrics by whole arrays: the figures of pycocotools in a fraction of its time.

pycocotools matches detections in Python loops over images, categories, areas, thresholds, detections and objects. Here
a *cell* is one category in one image; the detections of equal rank in all cells are matched at once, for all areas and
thresholds. The rules, and the order in which ties are broken, are pycocotools'; its order of summation too, so that
the figures are equal to the last bit.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Numbers of one state array (cells, areas, thresholds, objects) at a time.
CHUNK = 2_000_000


class Boxes(NamedTuple):
    """Objects or detections, sorted by cell; detections of a cell by falling score."""

    cells: NDArray  # (n,) int64, category * images + image
    xywh: NDArray  # (n, 4) float64
    areas: NDArray  # (n,)
    scores: NDArray  # (n,), of detections
    crowd: NDArray  # (n,) bool, of objects

    def ranks(self) -> NDArray:
        """(n,) place in the own cell, from 0."""
        return np.arange(len(self.cells)) - np.searchsorted(self.cells, self.cells)

    def take(self, rows: NDArray) -> 'Boxes':
        """Some of them."""
        return Boxes(*(field[rows] for field in self))


class Matches(NamedTuple):
    """What became of each detection."""

    matched: NDArray  # (n, areas, thresholds) bool
    ignored: NDArray  # (n, areas, thresholds) bool


def unique_ids(ids: Sequence) -> list:
    """Ids, numbers or texts, each once and in order; numbers before texts."""
    return sorted(set(ids), key=lambda value: (isinstance(value, str), value))


def gather(entries: Sequence[Mapping], cat_ids: Sequence[int], img_ids: Sequence[int]) -> Boxes:
    """Boxes of those entries of an annotation file, or of a file of results, that are of the categories and images."""
    # ids may be texts or fractions: numbers of their places stand for them
    cats, imgs = ({value: place for place, value in enumerate(unique_ids(ids))} for ids in (cat_ids, img_ids))
    rows = [(cats.get(e['category_id'], -1), imgs.get(e['image_id'], -1)) for e in entries]
    columns = np.array(rows, dtype=np.int64).reshape(-1, 2)
    chosen = np.flatnonzero((columns >= 0).all(1))
    entries, columns = [entries[i] for i in chosen], columns[chosen]
    cells = columns[:, 0] * len(imgs) + columns[:, 1]
    xywh = np.array([e['bbox'] for e in entries], dtype=np.float64).reshape(-1, 4)
    is_result = bool(entries) and 'score' in entries[0]
    scores = np.array([e['score'] for e in entries] if is_result else np.zeros(len(entries)), dtype=np.float64)
    areas = xywh[:, 2] * xywh[:, 3] if is_result else np.array([e['area'] for e in entries], dtype=np.float64)
    crowd = np.array([bool(e.get('iscrowd', 0)) for e in entries], dtype=bool)
    return Boxes(cells, xywh, areas, scores, crowd).take(np.lexsort((-scores, cells)))


def evaluate_boxes(
    objects: Boxes,
    detections: Boxes,
    num_images: int,
    num_cats: int,
    iou_thrs: NDArray,
    recall_thrs: NDArray,
    area_ranges: NDArray,
    max_dets: Sequence[int],
) -> dict[str, NDArray]:
    """Precision and recall as ``COCOeval.accumulate`` gives them.

    Args:
        objects: of :func:`gather`.
        detections: likewise.
        num_images: I.
        num_cats: K.
        iou_thrs: (T,).
        recall_thrs: (R,).
        area_ranges: (A, 2) smallest and largest area, px.
        max_dets: M numbers of detections of a cell, rising.

    Returns:
        ``precision`` (T, R, K, A, M) and ``recall`` (T, K, A, M); -1 where there is nothing to find.
    """
    detections = detections.take(np.flatnonzero(detections.ranks() < max_dets[-1]))
    matches = match(objects, detections, iou_thrs, area_ranges)
    ranks = detections.ranks()
    counting = ~(objects.crowd[:, None] | outside(objects.areas, area_ranges))  # (n, A)
    of_cat = np.searchsorted(detections.cells, np.arange(num_cats + 1) * num_images)
    shape = (num_cats, len(area_ranges), len(max_dets))
    precision = np.full((len(iou_thrs), len(recall_thrs), *shape), -1.0)
    recall = np.full((len(iou_thrs), *shape), -1.0)
    for k in range(num_cats):
        totals = counting[objects.cells // num_images == k].sum(0) if len(objects.cells) else np.zeros(len(area_ranges))
        rows = np.arange(of_cat[k], of_cat[k + 1])
        rows = rows[np.argsort(-detections.scores[rows], kind='stable')]
        for m, most in enumerate(max_dets):
            used = rows[ranks[rows] < most]
            curves = precision_recall(Matches(*(part[used] for part in matches)), totals, recall_thrs)
            known = totals > 0
            precision[:, :, k, known, m] = curves[0][known].transpose(1, 2, 0)
            recall[:, k, known, m] = curves[1][known].T
    return dict(precision=precision, recall=recall)


def outside(areas: NDArray, area_ranges: NDArray) -> NDArray:
    """(n,) areas -> (n, A) bool: not in each range, whose ends belong to it."""
    return (areas[:, None] < area_ranges[:, 0]) | (areas[:, None] > area_ranges[:, 1])


def precision_recall(matches: Matches, totals: NDArray, recall_thrs: NDArray) -> tuple[NDArray, NDArray]:
    """Curves of one category.

    Args:
        matches: of its n detections, best first.
        totals: (A,) objects to find.
        recall_thrs: (R,).

    Returns:
        Greatest precision at each recall or a higher one (A, T, R), 0 where it is not reached; last recall (A, T).
    """
    hits = (matches.matched & ~matches.ignored).transpose(1, 2, 0).cumsum(-1, dtype=np.float64)
    misses = (~matches.matched & ~matches.ignored).transpose(1, 2, 0).cumsum(-1, dtype=np.float64)
    num_areas, num_thrs, count = hits.shape
    precision = np.zeros((num_areas, num_thrs, len(recall_thrs)))
    if not count:
        return precision, np.zeros((num_areas, num_thrs))
    recalls = hits / np.maximum(totals, 1)[:, None, None]
    precisions = hits / (misses + hits + np.spacing(1))
    precisions = np.maximum.accumulate(precisions[..., ::-1], -1)[..., ::-1]
    for a in range(num_areas):
        for t in range(num_thrs):
            places = np.searchsorted(recalls[a, t], recall_thrs, side='left')
            reached = places < count
            precision[a, t, reached] = precisions[a, t, places[reached]]
    return precision, recalls[..., -1]


def match(objects: Boxes, detections: Boxes, iou_thrs: NDArray, area_ranges: NDArray) -> Matches:
    """Give each detection, best first, the free object of its cell that it overlaps most.

    Objects that count go before ignored ones (crowds, other areas); a crowd can be taken by many.
    """
    shape = (len(detections.cells), len(area_ranges), len(iou_thrs))
    out = Matches(np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool))
    for cells in _chunks_of_cells(objects, detections, shape[1] * shape[2]):
        _match_cells(objects, detections, cells, iou_thrs, area_ranges, out)
    out.ignored[:] |= ~out.matched & outside(detections.areas, area_ranges)[:, :, None]
    return out


class _Cells(NamedTuple):
    """Cells with at most ``width`` objects, those with many detections first."""

    width: int
    object_start: NDArray  # (c,)
    object_count: NDArray
    det_start: NDArray
    det_count: NDArray


def _chunks_of_cells(objects: Boxes, detections: Boxes, states: int) -> Iterator[_Cells]:
    """The cells that have both objects and detections, in parts of similar numbers of objects."""
    cells, det_start, det_count = np.unique(detections.cells, return_index=True, return_counts=True)
    object_start = np.searchsorted(objects.cells, cells, side='left')
    object_count = np.searchsorted(objects.cells, cells, side='right') - object_start
    order = np.lexsort((-det_count, np.ceil(np.log2(np.maximum(object_count, 1)))))
    order = order[object_count[order] > 0]
    widths = 2 ** np.ceil(np.log2(object_count[order])).astype(int)
    for width in np.unique(widths):
        of_width = order[widths == width]
        step = max(1, CHUNK // (int(width) * states))
        for i in range(0, len(of_width), step):
            part = of_width[i : i + step]
            yield _Cells(int(width), object_start[part], object_count[part], det_start[part], det_count[part])


def _match_cells(
    objects: Boxes, detections: Boxes, cells: _Cells, iou_thrs: NDArray, area_ranges: NDArray, out: Matches
) -> None:
    """Match the detections of some cells, rank by rank; writes into ``out``."""
    # backwards: of equal overlaps pycocotools takes the last object, argmax the first
    places = cells.object_count[:, None] - 1 - np.arange(cells.width)
    there = places >= 0
    places = cells.object_start[:, None] + np.maximum(places, 0)
    crowd = objects.crowd[places] & there
    ignored = crowd[:, None] | outside(objects.areas[places].ravel(), area_ranges).reshape(*places.shape, -1).swapaxes(
        1, 2
    )
    free = np.repeat(np.repeat(there[:, None, None], len(area_ranges), 1), len(iou_thrs), 2)  # (c, A, T, width)
    least = np.minimum(iou_thrs, 1 - 1e-10)
    for rank in range(int(cells.det_count.max(initial=0))):
        active = int((cells.det_count > rank).sum())  # they come first
        rows = cells.det_start[:active] + rank
        overlaps = overlaps_of(detections.xywh[rows], objects.xywh[places[:active]], crowd[:active])
        near = np.flatnonzero(((overlaps >= least.min()) & there[:active]).any(1))
        if not len(near):
            continue
        could = (overlaps[near, None, None] >= least[:, None]) & free[near]
        chosen, found, is_ignored = _choose(could, overlaps[near], ignored[near])
        out.matched[rows[near]], out.ignored[rows[near]] = found, is_ignored
        cell, area, thr = np.nonzero(found)
        taken = chosen[cell, area, thr]
        free[near[cell], area, thr, taken] = crowd[near[cell], taken]


def _choose(could: NDArray, overlaps: NDArray, ignored: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """The object of greatest overlap among those that ``could`` (c, A, T, G) be it.

    Args:
        could: candidates.
        overlaps: (c, G).
        ignored: (c, A, G); these objects only serve where no other does.

    Returns:
        Numbers of the objects, whether there is one, whether it is ignored; (c, A, T) each.
    """
    counting = could & ~ignored[:, :, None]
    has_counting, found = counting.any(-1), could.any(-1)
    candidates = np.where(has_counting[..., None], counting, could)
    chosen = np.where(candidates, overlaps[:, None, None], -1.0).argmax(-1)
    return chosen, found, found & ~has_counting


def overlaps_of(dets: NDArray, objects: NDArray, crowd: NDArray) -> NDArray:
    """IoU (c, G) of a detection (c, 4) with each object (c, G, 4) of its cell, xywh; with a crowd IoF."""
    ends_d, ends_o = dets[:, None, :2] + dets[:, None, 2:], objects[..., :2] + objects[..., 2:]
    sides = np.minimum(ends_d, ends_o) - np.maximum(dets[:, None, :2], objects[..., :2])
    shared = np.where((sides > 0).all(-1), sides[..., 0] * sides[..., 1], 0.0)
    det_areas = (dets[:, 2] * dets[:, 3])[:, None]
    union = np.where(crowd, det_areas, det_areas + objects[..., 2] * objects[..., 3] - shared)
    return np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
