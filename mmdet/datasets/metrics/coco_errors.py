"""Why detections are wrong: COCO's analysis by seven curves of precision against recall.

For each class, from the strictest to the most forgiving:

- C75, C50, Loc: precision at IoU 0.75, 0.5 and 0.1; with the last one, errors of place are forgiven;
- Sim: also detections of objects of other classes of the same supercategory are left out of account;
- Oth: also those of objects of any other class;
- BG: all other false finds are left out of account, so that precision is 1 up to the recall reached;
- FN: missed objects are forgiven as well.

The areas between the curves say how much each kind of error costs. After Hoiem et al. ("Diagnosing Error in Object
Detectors") and the error analysis of https://cocodataset.org/#detection-eval.
"""

import contextlib
import io
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from mmdet.datasets.api_wrappers.coco_api import COCO, COCOeval
from mmdet.datasets.metrics.coco_ground_truth import evaluation_copy

CURVES = ('C75', 'C50', 'Loc', 'Sim', 'Oth', 'BG', 'FN')
IOU_THRS = (0.75, 0.5, 0.1)
AREA_NAMES = ('all', 'small', 'medium', 'large')
MAX_DETS = 100
FORGIVEN = 'forgiven'  # key of annotations that are there to be left out of account


class ErrorCurves(NamedTuple):
    """Precision of the seven curves."""

    precision: np.ndarray  # (7, 101, K, areas); -1 where a class has no object in an area
    recalls: np.ndarray  # (101,)
    cat_ids: list[int]  # (K,)


class _ForgivingEval(COCOeval):
    """COCO's matching, where a detection of a forgiven object is neither right nor wrong."""

    def _prepare(self) -> None:
        super()._prepare()
        for anns in self._gts.values():
            for ann in anns:
                ann['ignore'] = ann['ignore'] or ann.get(FORGIVEN, False)


def area_ranges(areas: Sequence[float]) -> list[list[float]]:
    """Ranges of all, small, medium and large objects from three ascending limits in px².

    Raises:
        ValueError: not three, or not ascending.
    """
    if len(areas) != 3 or list(areas) != sorted(areas):
        raise ValueError(f'areas: expected three ascending limits (small, medium, large) in px², got {list(areas)}')
    small, medium, large = areas
    return [[0, large], [0, small], [small, medium], [medium, large]]


def error_curves(coco_gt: COCO, coco_dt: COCO, metric: str, areas: Sequence[float]) -> ErrorCurves:
    """The seven curves of every category.

    Args:
        coco_gt: annotations.
        coco_dt: results, from ``coco_gt.loadRes``.
        metric: ``'bbox'`` or ``'segm'``.
        areas: see :func:`area_ranges`.
    """
    cat_ids = sorted(coco_gt.get_cat_ids())
    coco_gt = evaluation_copy(coco_gt, coco_gt.imgs, cat_ids if metric == 'segm' else None)
    ranges = area_ranges(areas)
    per_class = [_class_curves(coco_gt, coco_dt, cat_id, metric, ranges) for cat_id in cat_ids]
    precision = np.concatenate(per_class, axis=2) if per_class else np.zeros((len(CURVES), 101, 0, len(ranges)))
    return ErrorCurves(precision, np.linspace(0, 1, 101), cat_ids)


def _class_curves(coco_gt: COCO, coco_dt: COCO, cat_id: int, metric: str, ranges: list) -> np.ndarray:
    """(7, 101, 1, areas)."""
    parent = {cat['id']: cat.get('supercategory') for cat in coco_gt.dataset['categories']}
    similar = [c for c, name in parent.items() if c != cat_id and name is not None and name == parent[cat_id]]
    others = [c for c in parent if c != cat_id]
    strict = _precision(coco_gt, coco_dt, cat_id, metric, ranges, IOU_THRS)
    lenient = [
        _precision(_forgiving(coco_gt, cat_id, cats), coco_dt, cat_id, metric, ranges, IOU_THRS[-1:])
        for cats in (similar, others)
    ]
    curves = np.concatenate([strict, *lenient])  # (5, 101, 1, areas)
    has_objects = strict[:1] > -1
    background = np.where(has_objects, (curves[-1:] > 0).astype(float), -1.0)
    missed = np.where(has_objects, 1.0, -1.0)
    return np.concatenate([curves, background, missed])


def _forgiving(coco_gt: COCO, cat_id: int, forgiven: Sequence[int]) -> COCO:
    """The annotations, with objects of other categories as forgiven ones of ``cat_id``."""
    forgiven = set(forgiven)
    anns = [
        {**ann, 'category_id': cat_id, FORGIVEN: True} if ann['category_id'] in forgiven else ann
        for ann in coco_gt.dataset['annotations']
        if ann['category_id'] == cat_id or ann['category_id'] in forgiven
    ]
    changed = COCO()
    changed.dataset = {**coco_gt.dataset, 'annotations': anns}
    _silent(changed.createIndex)
    return changed


def _precision(
    coco_gt: COCO, coco_dt: COCO, cat_id: int, metric: str, ranges: list, iou_thrs: Sequence[float]
) -> np.ndarray:
    """(T, 101, 1, areas) at T thresholds."""
    run = _ForgivingEval(coco_gt, coco_dt, metric)
    run.params.catIds = [cat_id]
    run.params.iouThrs = np.asarray(iou_thrs)
    run.params.areaRng = ranges
    run.params.areaRngLbl = list(AREA_NAMES)
    run.params.maxDets = [MAX_DETS]
    _silent(run.evaluate)
    _silent(run.accumulate)
    return run.eval['precision'][..., 0]


def _silent(call: Callable[[], None]) -> None:
    """Call a function of pycocotools without its progress messages."""
    with contextlib.redirect_stdout(io.StringIO()):
        call()


def mean_curves(precision: np.ndarray) -> np.ndarray:
    """Mean over the classes that have objects: (7, 101, K, areas) -> (7, 101, areas), -1 where none has."""
    valid = precision > -1
    counts = valid.sum(2)
    return np.where(counts > 0, np.where(valid, precision, 0).sum(2) / np.maximum(counts, 1), -1.0)


def areas_under(curves: np.ndarray) -> np.ndarray:
    """Area under each curve, its mean over the recalls: (7, 101, ...) -> (7, ...); -1 stays."""
    return curves.mean(1)
