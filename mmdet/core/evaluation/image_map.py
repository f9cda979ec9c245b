"""Mean average precision of single images, to find the best and the worst ones."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mmdet.core.evaluation.confusion_matrix import boxes_of_result
from mmdet.core.evaluation.mean_ap import eval_map

COCO_IOU_THRS = tuple(np.linspace(0.5, 0.95, 10).round(2).tolist())


class Ranking(NamedTuple):
    """Images by their mean average precision."""

    best: list[tuple[int, float]]  # number of the image and its mAP, best first
    worst: list[tuple[int, float]]  # worst first


def image_map(result: Any, annotation: dict, iou_thrs: Sequence[float] = COCO_IOU_THRS) -> float | None:
    """Mean average precision of the boxes of one image, over its classes and the thresholds.

    Args:
        result: detections of each class (n, 5), or a pair of these and masks.
        annotation: ``bboxes`` (g, 4), ``labels`` (g,), optionally ``bboxes_ignore`` and ``labels_ignore``.
        iou_thrs: overlaps from which on a detection belongs to an object; default: COCO's ten.

    Returns:
        In [0, 1]; None for an image without objects, which has no average precision.
    """
    labels = np.asarray(annotation['labels'])
    if not len(labels):
        return None
    boxes = boxes_of_result(result)
    # classes without objects do not count, and there are many of them
    present = np.unique(labels)
    annotation = dict(annotation, labels=np.searchsorted(present, labels), **_ignored_of(annotation, present))
    per_class = [[boxes[label] for label in present.tolist()]]
    means = [eval_map(per_class, [annotation], iou_thr=thr, logger='silent')[0] for thr in iou_thrs]
    return float(np.mean(means))


def _ignored_of(annotation: dict, present: np.ndarray) -> dict[str, np.ndarray | None]:
    """Boxes to ignore of the classes in ``present``, their labels as places in it."""
    labels = annotation.get('labels_ignore')
    if labels is None:
        return dict(labels_ignore=None)
    known = np.isin(labels, present)
    boxes = np.asarray(annotation['bboxes_ignore']).reshape(-1, 4)[known]
    return dict(bboxes_ignore=boxes, labels_ignore=np.searchsorted(present, np.asarray(labels)[known]))


def rank_images(maps: Sequence[float | None], topk: int) -> Ranking:
    """The ``topk`` best and worst images, none of which is in both lists.

    Args:
        maps: of each image; None: it is left out.
        topk: at most half of the images with a figure are in each list.
    """
    rated = sorted(((i, value) for i, value in enumerate(maps) if value is not None), key=lambda entry: entry[1])
    count = min(topk, (len(rated) + 1) // 2)
    worst = rated[: min(count, len(rated) - count)]
    return Ranking(rated[::-1][:count], worst)
