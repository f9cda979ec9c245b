"""AP of `LVIS <https://arxiv.org/abs/1908.03195>`_, whose images were checked for some classes each (federated).

* A detection counts only if its class is among the image's objects or among its ``neg_category_ids``.
* Where an image has a class in ``not_exhaustive_category_ids``, not all of its objects are annotated, and a detection
  that matches none is neither right nor wrong.
* At most 300 detections of an image count.

Matching and averaging are COCO's. Only pairs of image and class that have anything are looked at. The figures equal
those of the package ``lvis`` 0.5.3, which is not used: it fails with numpy >= 1.24 and with results without detections.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pycocotools.mask as mask_utils

from mmdet.core.mask.annotation import segmentation_to_rle
from mmdet.datasets.metrics.class_figures import mean_of_known
from mmdet.datasets.mixing.verified_classes import check_lvis_image

MAX_DETS = 300  # of an image
RECALLS = np.linspace(0, 1, 101)
AREAS = OrderedDict(all=(0.0, 1e10), s=(0.0, 32.0**2), m=(32.0**2, 96.0**2), l=(96.0**2, 1e10))  # px²
FREQUENCIES = 'rcf'  # rare, common, frequent
_EPS = np.spacing(1)


class Objects(NamedTuple):
    """Objects or detections of one image and class."""

    shapes: Any  # (n, 4) xywh px, or n run lengths
    areas: np.ndarray  # (n,) px²
    scores: np.ndarray  # (n,) of detections, falling; of objects not used


class Matches(NamedTuple):
    """Detections of one image and class, best first; A area ranges, T thresholds."""

    scores: np.ndarray  # (D,)
    right: np.ndarray  # (A, T, D) bool
    ignored: np.ndarray  # (A, T, D) bool
    num_objects: np.ndarray  # (A,)


def match(dets: Objects, objects: Objects, ious: np.ndarray, iou_thrs: np.ndarray, exhaustive: bool) -> Matches:
    """Give detections, best first, the free object they overlap most; one inside the area range if there is any.

    One choice depends on those before it, hence the loop, over the detections of one image and class.

    Args:
        dets: D detections.
        objects: G objects.
        ious: (D, G).
        iou_thrs: (T,).
        exhaustive: all objects are annotated, so that a detection without object is wrong.
    """
    low, high = np.asarray(list(AREAS.values())).T[:, :, None]  # (A, 1)
    outside = (objects.areas < low) | (objects.areas > high)  # (A, G)
    dets_outside = (dets.areas < low) | (dets.areas > high)  # (A, D)
    thrs = np.minimum(iou_thrs, 1 - 1e-10)[:, None]  # (T, 1)
    shape = len(AREAS), len(iou_thrs)
    free = np.ones((*shape, len(objects.areas)), dtype=bool)
    right, ignored = (np.zeros((*shape, len(dets.areas)), dtype=bool) for _ in range(2))
    ranges, rows = np.ix_(*map(np.arange, shape))
    for d in np.flatnonzero((ious >= thrs.min()).any(1)):
        iou = ious[d]
        # an object inside the range goes before any outside; of equal ones the last
        worth = np.where(free & (iou >= thrs), iou + 2.0 * ~outside[:, None], -1.0)[..., ::-1]
        best = worth.shape[-1] - 1 - worth.argmax(-1)  # (A, T)
        hit = worth.max(-1) >= 0
        free[ranges, rows, best] &= ~hit
        right[..., d] = hit & ~outside[ranges, best]
        ignored[..., d] = hit & outside[ranges, best]
    missed = ~right & ~ignored
    ignored |= missed & (dets_outside[:, None] | (not exhaustive))
    return Matches(dets.scores, right, ignored, (~outside).sum(1))


def precision_recall(matches: Sequence[Matches]) -> tuple[np.ndarray, np.ndarray]:
    """Precision at 101 recalls (T, 101, A) and the highest recall (T, A) of one class; -1 where there is nothing."""
    scores = np.concatenate([m.scores for m in matches])
    order = np.argsort(-scores, kind='stable')
    ignored = np.concatenate([m.ignored for m in matches], -1)[..., order]
    right = np.concatenate([m.right for m in matches], -1)[..., order]
    tp, fp = (right & ~ignored).cumsum(-1), (~right & ~ignored).cumsum(-1)  # (A, T, D)
    num_objects = np.sum([m.num_objects for m in matches], 0)
    precision = np.full((tp.shape[1], len(RECALLS), tp.shape[0]), -1.0)
    recall = np.full((tp.shape[1], tp.shape[0]), -1.0)
    for a, t in np.ndindex(tp.shape[:2]):
        if num_objects[a] > 0:
            recalls = tp[a, t] / num_objects[a]
            precisions = tp[a, t] / (tp[a, t] + fp[a, t] + _EPS)
            envelope = np.maximum.accumulate(precisions[::-1])[::-1]
            at = np.searchsorted(recalls, RECALLS, side='left')
            precision[t, :, a] = np.append(envelope, 0.0)[at]
            recall[t, a] = recalls[-1] if len(recalls) else 0.0
    return precision, recall


def best_of_each_image(entries: Sequence[dict], limit: int = MAX_DETS) -> list[dict]:
    """The ``limit`` best detections of each image, best first."""
    by_image = defaultdict(list)
    for entry in entries:
        by_image[entry['image_id']].append(entry)
    return [entry for group in by_image.values() for entry in sorted(group, key=lambda entry: -entry['score'])[:limit]]


def _objects(entries: Sequence[dict], metric: str, img: Mapping[str, Any], detections: bool) -> Objects:
    if metric == 'bbox':
        shapes = np.asarray([entry['bbox'] for entry in entries], dtype=np.float64).reshape(-1, 4)
        areas = shapes[:, 2] * shapes[:, 3]
    else:
        shapes = [segmentation_to_rle(entry['segmentation'], img['height'], img['width']) for entry in entries]
        areas = mask_utils.area(shapes) if shapes else np.zeros(0)
    if not detections:
        areas = [entry['area'] for entry in entries]
    scores = [entry.get('score', 0.0) for entry in entries]
    return Objects(shapes, np.asarray(areas, dtype=np.float64), np.asarray(scores, dtype=np.float64))


class LVISFigures(NamedTuple):
    """What LVIS reports."""

    figures: dict[str, float]  # 'AP', 'AP50', ... 'APf', 'AR@300', ...; -1 where there is nothing to find
    class_aps: np.ndarray  # (K,) NaN where there is nothing to find


def evaluate_lvis(
    images: Mapping[int, dict],
    annotations: Sequence[dict],
    categories: Mapping[int, dict],
    results: Sequence[dict],
    metric: str,
    iou_thrs: Sequence[float],
) -> LVISFigures:
    """Evaluate detections in the manner of LVIS.

    Args:
        images: id -> entry, with ``neg_category_ids`` and ``not_exhaustive_category_ids``, of the images that count.
        annotations: of the file.
        categories: id -> entry, with ``frequency`` ``'r'``, ``'c'`` or ``'f'``, of the categories that count.
        results: COCO's entries of detections.
        metric: ``'bbox'`` or ``'segm'``.
        iou_thrs: thresholds that are averaged over.

    Raises:
        ValueError: an image does not say what it was checked for.
    """
    for img in images.values():
        check_lvis_image(img)
    thrs = np.asarray(iou_thrs, dtype=np.float64)
    objects, dets = _by_category(annotations, images, categories), {}
    negatives = {img_id: set(img['neg_category_ids']) for img_id, img in images.items()}
    for cat, of_images in _by_category(best_of_each_image(results), images, categories).items():
        known = objects.get(cat, {})
        dets[cat] = {img: entries for img, entries in of_images.items() if img in known or cat in negatives[img]}
    precision = np.full((len(thrs), len(RECALLS), len(categories), len(AREAS)), -1.0)
    recall = np.full((len(thrs), len(categories), len(AREAS)), -1.0)
    for k, cat in enumerate(categories):
        found, true = dets.get(cat, {}), objects.get(cat, {})
        matches = [
            _match_image(images[img], found.get(img, ()), true.get(img, ()), metric, thrs, cat)
            for img in sorted(found.keys() | true.keys())
        ]
        if matches:
            precision[:, :, k], recall[:, k] = precision_recall(matches)
    return summarise(precision, recall, thrs, [cat.get('frequency') for cat in categories.values()])


def _by_category(entries: Sequence[dict], images: Mapping, categories: Mapping) -> dict[int, dict[int, list[dict]]]:
    """Category -> image -> entries, of those that count."""
    out: dict[int, dict[int, list[dict]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        if entry['image_id'] in images and entry['category_id'] in categories:
            out[entry['category_id']][entry['image_id']].append(entry)
    return out


def _match_image(
    img: Mapping[str, Any], found: Sequence[dict], true: Sequence[dict], metric: str, thrs: np.ndarray, cat: int
) -> Matches:
    dets, objects = _objects(found, metric, img, True), _objects(true, metric, img, False)
    ious = np.zeros((len(found), len(true)))
    if ious.size:
        ious = np.asarray(mask_utils.iou(dets.shapes, objects.shapes, [0] * len(true)))
    return match(dets, objects, ious, thrs, cat not in img['not_exhaustive_category_ids'])


def summarise(
    precision: np.ndarray, recall: np.ndarray, thrs: np.ndarray, frequencies: Sequence[str | None]
) -> LVISFigures:
    """Figures from precision (T, 101, K, A) and recall (T, K, A), -1 where there is nothing to find."""
    out: dict[str, float] = OrderedDict(AP=mean_of_known(precision[..., 0]))
    for percent in (50, 75):
        out[f'AP{percent}'] = mean_of_known(precision[np.isclose(thrs, percent / 100)][..., 0])
    for a, area in enumerate(AREAS):
        if area != 'all':
            out[f'AP{area}'] = mean_of_known(precision[..., a])
    for frequency in FREQUENCIES:
        of_kind = np.asarray([own == frequency for own in frequencies], dtype=bool)
        out[f'AP{frequency}'] = mean_of_known(precision[:, :, of_kind, 0])
    for a, area in enumerate(AREAS):
        out[f'AR{"" if area == "all" else area}@{MAX_DETS}'] = mean_of_known(recall[..., a])
    class_aps = np.asarray([mean_of_known(precision[:, :, k, 0]) for k in range(precision.shape[2])])
    return LVISFigures(out, np.where(class_aps < 0, np.nan, class_aps))
