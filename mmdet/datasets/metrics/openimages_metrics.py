"""How results of Open Images are made ready for its mAP: the hierarchy of classes, and who was looked for where.

Source: the `rules <https://storage.googleapis.com/openimages/web/evaluation.html>`_ of Open Images.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmdet.core.evaluation.tpfp import tpfp_openimages
from mmdet.datasets.metrics.custom_metrics import map_metrics


def with_ancestors(ann: dict, ancestors: np.ndarray) -> dict:
    """Annotations of an image with a further box for each ancestor of each box's class.

    Args:
        ann: ``bboxes`` (n, 4), ``labels`` (n,), ``gt_is_group_ofs`` (n,).
        ancestors: (K, K) bool; row: class, column: itself and its ancestors.

    Returns:
        The same entries, with (m,) boxes, m >= n; the boxes of one object follow each other, labels rising.
    """
    labels = np.asarray(ann['labels'], dtype=np.int64).reshape(-1)
    rows, columns = np.nonzero(ancestors[labels])
    return dict(
        ann,
        bboxes=np.asarray(ann['bboxes'], dtype=np.float32).reshape(-1, 4)[rows],
        labels=columns.astype(np.int64),
        gt_is_group_ofs=np.asarray(ann['gt_is_group_ofs'], dtype=bool)[rows],
    )


def expand_and_filter(
    dets: Sequence[np.ndarray],
    known: np.ndarray,
    ancestors: np.ndarray,
    expand: bool = True,
    drop_unknown: bool = True,
) -> list[np.ndarray]:
    """Detections of one image, also for the ancestors of their classes, of those classes that were looked for.

    Args:
        dets: for each class (n, 5) xyxy px and score.
        known: labels that the image has, or was found not to have.
        ancestors: (K, K) bool; row: class, column: itself and its ancestors.
        expand: add detections to ancestors.
        drop_unknown: leave out detections of classes nobody looked for: whether they are right is not known.

    Returns:
        For each class (m, 5); a new list.
    """
    looked_for = np.zeros(len(dets), dtype=bool)
    looked_for[known] = True
    has_dets = np.asarray([len(det) > 0 for det in dets], dtype=bool)
    below = ancestors.T & has_dets & ~np.eye(len(dets), dtype=bool)  # row: class, column: classes below it
    out = []
    for label, own in enumerate(dets):
        if looked_for[label]:
            more = [dets[other] for other in np.flatnonzero(below[label])] if expand else []
            out.append(np.concatenate([own, *more]) if more else own)
        else:
            out.append(own[:0] if drop_unknown else own)
    return out


def map_of_thresholds(
    annotations: Sequence[dict],
    results: Sequence[Any],
    iou_thr: float | Sequence[float],
    ioa_thr: float | Sequence[float],
    use_group_of: bool,
    scale_ranges: Sequence[tuple[float, float]] | None,
    classes: Sequence[str],
    classwise: bool,
    logger: Any,
) -> dict[str, float]:
    """``AP50``, ... of each threshold, and ``mAP``, their mean.

    Args:
        annotations, results: of each image, ready for evaluation.
        iou_thr: one or several thresholds of overlap with an object's box.
        ioa_thr: one threshold, or one for each ``iou_thr``: fraction of a detection inside a group's box.
        use_group_of: treat boxes of groups as such, not as objects.
        scale_ranges: ranges of size, px, that mAP is given for; not together with groups.
        classes: names of the classes.
        classwise: also ``AP50/cat``, ... of each class that has objects.
        logger: a logger, None (print) or ``'silent'``.

    Raises:
        ValueError: numbers of thresholds that do not fit each other.
    """
    iou_thrs = np.atleast_1d(iou_thr)
    ioa_thrs = np.atleast_1d(ioa_thr)
    if len(ioa_thrs) not in (1, len(iou_thrs)):
        raise ValueError(f'ioa_thr: expected one, or one for each of {len(iou_thrs)} iou_thr, got {len(ioa_thrs)}')
    out: dict[str, float] = OrderedDict()
    means = []
    for iou, ioa in zip(iou_thrs.tolist(), np.resize(ioa_thrs, len(iou_thrs)).tolist()):
        one = map_metrics(
            annotations,
            results,
            [iou],
            scale_ranges,
            classes,
            logger,
            classes if classwise else None,
            tpfp_fn=tpfp_openimages,
            use_group_of=use_group_of,
            ioa_thr=ioa,
        )
        means.append(one.pop('mAP'))
        out.update(one)
    out['mAP'] = sum(means) / len(means)
    return out
