"""How results of Open Images are made ready for its mAP: the hierarchy of classes, and who was looked for where.

Source: the `rules <https://storage.googleapis.com/openimages/web/evaluation.html>`_ of Open Images.
"""

from collections.abc import Sequence

import numpy as np


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
