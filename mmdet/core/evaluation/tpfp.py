"""Which detections of one image and class are right: the matching rules of VOC, ImageNet and Open Images.

All three give, for each area range, one row of flags over the detections. A detection may be neither right nor wrong:
when its object is to be ignored, or when it lies outside the area range.
"""

from collections.abc import Sequence

import numpy as np

from mmdet.core.evaluation.bbox_overlaps import bbox_overlaps

AreaRanges = Sequence[tuple[float | None, float | None]]
ANY_AREA = ((None, None),)


def box_areas(boxes: np.ndarray, use_legacy_coordinate: bool = False) -> np.ndarray:
    """(n, 4+) xyxy px -> (n,) px²; legacy corners are inclusive pixels."""
    return (boxes[:, 2:4] - boxes[:, :2] + float(use_legacy_coordinate)).prod(1)


def inside_ranges(areas: np.ndarray, area_ranges: AreaRanges | None) -> np.ndarray:
    """Whether each area lies in each range [low, high).

    Args:
        areas: (n,) px².
        area_ranges: R pairs; (None, None) holds every area; None is that one range alone.

    Returns:
        (R, n) bool.
    """
    ranges = ANY_AREA if area_ranges is None else area_ranges
    rows = [
        np.ones(len(areas), dtype=bool) if low is None or high is None else (areas >= low) & (areas < high)
        for low, high in ranges
    ]
    return np.stack(rows)


def join_ignored(gt_bboxes: np.ndarray, gt_bboxes_ignore: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """All boxes (g, 4), those to be ignored last, and the flag (g,) that tells them."""
    gt_bboxes = np.asarray(gt_bboxes).reshape(-1, 4)
    ignored = np.zeros((0, 4)) if gt_bboxes_ignore is None else np.asarray(gt_bboxes_ignore).reshape(-1, 4)
    flags = np.arange(len(gt_bboxes) + len(ignored)) >= len(gt_bboxes)
    return np.concatenate([gt_bboxes, ignored]), flags


def by_score(det_bboxes: np.ndarray) -> np.ndarray:
    """Indices of the detections (n, 5), best score first; equal scores keep their order."""
    return np.argsort(-det_bboxes[:, -1], kind='stable')


def first_of_each(matched: np.ndarray, order: np.ndarray, among: np.ndarray) -> np.ndarray:
    """The best detection of each object.

    Args:
        matched: (n,) object of each detection.
        order: (n,) indices of the detections, best first.
        among: (n,) bool, detections that take part.

    Returns:
        (n,) bool: no detection before it, in that order, has the same object.
    """
    flags = np.zeros(len(matched), dtype=bool)
    order = order[among[order]]
    flags[order[np.unique(matched[order], return_index=True)[1]]] = True
    return flags


def tpfp_default(
    det_bboxes: np.ndarray,
    gt_bboxes: np.ndarray,
    gt_bboxes_ignore: np.ndarray | None = None,
    iou_thr: float = 0.5,
    area_ranges: AreaRanges | None = None,
    use_legacy_coordinate: bool = False,
    **kwargs,
) -> tuple[np.ndarray, np.ndarray]:
    """VOC's rule: a detection belongs to the object it overlaps most; the best one of an object is right.

    Args:
        det_bboxes: (n, 5) xyxy px and score.
        gt_bboxes: (g, 4) xyxy px.
        gt_bboxes_ignore: (i, 4); a detection of one of these counts neither way.
        iou_thr: overlap from which on a detection belongs to an object.
        area_ranges: R pairs of px²; None: every area.
        use_legacy_coordinate: corners are inclusive pixels.

    Returns:
        Right and wrong flags, each (R, n) float32.
    """
    gts, ignored = join_ignored(gt_bboxes, gt_bboxes_ignore)
    det_in_range = inside_ranges(box_areas(det_bboxes, use_legacy_coordinate), area_ranges)
    if len(gts) == 0 or len(det_bboxes) == 0:
        return np.zeros_like(det_in_range, dtype=np.float32), det_in_range.astype(np.float32)
    ious = bbox_overlaps(det_bboxes[:, :4], gts, use_legacy_coordinate=use_legacy_coordinate)
    matched, hit = ious.argmax(1), ious.max(1) >= iou_thr
    # an object outside the range is to be ignored in that range
    gt_counts = inside_ranges(box_areas(gts, use_legacy_coordinate), area_ranges) & ~ignored  # (R, g)
    counted = hit & gt_counts[:, matched]  # (R, n)
    # the first detection of an object is the same one in every range
    tp = counted & first_of_each(matched, by_score(det_bboxes), hit)
    fp = (counted & ~tp) | (~hit & det_in_range)
    return tp.astype(np.float32), fp.astype(np.float32)


def tpfp_imagenet(
    det_bboxes: np.ndarray,
    gt_bboxes: np.ndarray,
    gt_bboxes_ignore: np.ndarray | None = None,
    default_iou_thr: float = 0.5,
    area_ranges: AreaRanges | None = None,
    use_legacy_coordinate: bool = False,
    **kwargs,
) -> tuple[np.ndarray, np.ndarray]:
    """ImageNet's rule: a lower threshold for small objects, and a detection takes the best object that is still free.

    The threshold of an object of w x h px is min(default, wh / ((w + 10)(h + 10))).

    Args:
        det_bboxes: (n, 5) xyxy px and score.
        gt_bboxes: (g, 4) xyxy px.
        gt_bboxes_ignore: (i, 4); a detection of one of these counts neither way.
        default_iou_thr: threshold of large objects.
        area_ranges: R pairs of px²; None: every area.
        use_legacy_coordinate: corners are inclusive pixels.

    Returns:
        Right and wrong flags, each (R, n) float32.
    """
    gts, ignored = join_ignored(gt_bboxes, gt_bboxes_ignore)
    det_in_range = inside_ranges(box_areas(det_bboxes, use_legacy_coordinate), area_ranges)
    if len(gts) == 0 or len(det_bboxes) == 0:
        return np.zeros_like(det_in_range, dtype=np.float32), det_in_range.astype(np.float32)
    # ImageNet's annotations count pixels from 1
    ious = bbox_overlaps(det_bboxes[:, :4], gts - 1, use_legacy_coordinate=use_legacy_coordinate)
    size_wh = gts[:, 2:] - gts[:, :2] + float(use_legacy_coordinate)
    thrs = np.minimum(size_wh.prod(1) / (size_wh + 10.0).prod(1), default_iou_thr)
    matched = _take_free_objects(np.where(ious >= thrs, ious, -1.0), by_score(det_bboxes))
    hit = matched >= 0
    gt_counts = inside_ranges(size_wh.prod(1), area_ranges) & ~ignored
    tp = hit & gt_counts[:, matched]
    fp = ~hit & det_in_range
    return tp.astype(np.float32), fp.astype(np.float32)


def _take_free_objects(ious: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Give each detection, in ``order``, the free object it overlaps most.

    One choice depends on those before it, hence the loop, over the detections of one image and class.

    Args:
        ious: (n, g); negative where the two do not go together.
        order: (n,) indices of the detections.

    Returns:
        (n,) the object of each detection; -1: none.
    """
    ious, matched = ious.copy(), np.full(len(ious), -1)
    for det in order:
        gt = ious[det].argmax()
        if ious[det, gt] >= 0:
            matched[det] = gt
            ious[:, gt] = -1
    return matched


def tpfp_openimages(
    det_bboxes: np.ndarray,
    gt_bboxes: np.ndarray,
    gt_bboxes_ignore: np.ndarray | None = None,
    iou_thr: float = 0.5,
    area_ranges: AreaRanges | None = None,
    use_legacy_coordinate: bool = False,
    gt_bboxes_group_of: np.ndarray | None = None,
    use_group_of: bool = True,
    ioa_thr: float = 0.5,
    **kwargs,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Open Images' rule: VOC's for single objects; all detections inside a group's box count as one.

    Args:
        det_bboxes: (n, 5) xyxy px and score.
        gt_bboxes: (g, 4) xyxy px.
        gt_bboxes_ignore: (i, 4); a detection of one of these counts neither way.
        iou_thr: overlap from which on a detection belongs to an object.
        area_ranges: R pairs of px²; None: every area.
        use_legacy_coordinate: corners are inclusive pixels.
        gt_bboxes_group_of: (g,) or (g + i,) bool, boxes that stand for a group of objects.
        use_group_of: whether groups are treated so; if not they are ordinary boxes.
        ioa_thr: fraction of a detection inside a group's box from which on it belongs to the group.

    Returns:
        Right and wrong flags, each (R, m) float32, and the boxes (m, 5) that they belong to: the detections that belong
        to no group, then one box for each group, its best detection, or zeros (a wrong one of score 0) if it has none.

    Raises:
        ValueError: groups together with several area ranges, for which the boxes would differ.
    """
    gts, ignored = join_ignored(gt_bboxes, gt_bboxes_ignore)
    groups = _group_flags(gt_bboxes_group_of, len(gts)) if use_group_of else np.zeros(len(gts), dtype=bool)
    single = gts[~groups & ~ignored], gts[~groups & ignored]
    tp, fp = tpfp_default(det_bboxes, *single, iou_thr, area_ranges, use_legacy_coordinate)
    if not groups.any() or len(det_bboxes) == 0:
        return tp, fp, det_bboxes
    ioas = bbox_overlaps(det_bboxes[:, :4], gts[groups], 'iof', use_legacy_coordinate=use_legacy_coordinate)
    if len(tp) > 1:
        raise ValueError(f'tpfp_openimages: groups cannot be evaluated in several area ranges, got {area_ranges}')
    tp, fp, boxes = _with_groups(tp[0], fp[0], det_bboxes, ioas, ignored[groups], ioa_thr)
    return tp[None], fp[None], boxes


def _group_flags(flags: np.ndarray | None, count: int) -> np.ndarray:
    """Flags of the first boxes (k <= count,) -> (count,) bool; the rest are no groups."""
    full = np.zeros(count, dtype=bool)
    if flags is not None:
        full[: len(flags)] = np.asarray(flags, dtype=bool)[:count]
    return full


def _with_groups(
    tp: np.ndarray, fp: np.ndarray, dets: np.ndarray, ioas: np.ndarray, ignored: np.ndarray, ioa_thr: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fold the detections (n, 5) of groups (n, k overlaps) into one box a group; flags and boxes, (m,) and (m, 5)."""
    group = ioas.argmax(1)
    member = (tp == 0) & (ioas.max(1) >= ioa_thr) & ~ignored[group]
    best = first_of_each(group, by_score(dets), member)
    boxes = np.zeros((ioas.shape[1], 5), dtype=dets.dtype)
    boxes[group[best]] = dets[best]
    found = np.isin(np.arange(len(boxes)), group[best])
    return (
        np.concatenate([tp[~member], found]).astype(np.float32),
        np.concatenate([fp[~member], ~found]).astype(np.float32),
        np.concatenate([dets[~member], boxes]),
    )
