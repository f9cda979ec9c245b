"""Mean average precision in the manner of VOC, ImageNet and Open Images."""

from collections.abc import Callable, Sequence

import numpy as np
from mmcv.utils import is_str, print_log
from terminaltables import AsciiTable

from mmdet.core.evaluation.class_names import get_classes
from mmdet.core.evaluation.tpfp import (
    ANY_AREA,
    box_areas,
    by_score,
    inside_ranges,
    tpfp_default,
    tpfp_imagenet,
    tpfp_openimages,
)
from mmdet.utils.running.progress import tracked

_EPS = np.finfo(np.float32).eps  # smallest divisor: no object, no detection


def average_precision(recalls: np.ndarray, precisions: np.ndarray, mode: str = 'area') -> float | np.ndarray:
    """Average precision of one or several curves.

    Args:
        recalls: (n,) or (R, n), rising.
        precisions: of the same shape.
        mode: ``'area'``, the area under the falling envelope of the curve, or ``'11points'``, the mean of its values
            at the recalls 0, 0.1, ... 1 (VOC 2007).

    Returns:
        A float for one curve, (R,) float32 for several.

    Raises:
        ValueError: shapes that differ, or another mode.
    """
    recalls, precisions = np.asarray(recalls), np.asarray(precisions)
    if recalls.shape != precisions.shape or recalls.ndim not in (1, 2):
        raise ValueError(
            f'recalls and precisions: expected one shape (n,) or (R, n), got {recalls.shape} and {precisions.shape}'
        )
    rules = {'area': _area_under_envelope, '11points': _mean_of_11_points}
    if mode not in rules:
        raise ValueError(f'mode: expected one of {", ".join(map(repr, rules))}, got {mode!r}')
    aps = rules[mode](np.atleast_2d(recalls), np.atleast_2d(precisions)).astype(np.float32)
    return aps if recalls.ndim == 2 else aps[0]


def _area_under_envelope(recalls: np.ndarray, precisions: np.ndarray) -> np.ndarray:
    """(R, n), (R, n) -> (R,)."""
    column = np.zeros((len(recalls), 1), dtype=recalls.dtype)
    # a curve from recall 0 to 1, its precision 0 beyond what was found, so that missed objects count
    recalls = np.hstack([column, recalls, column + 1])
    precisions = np.hstack([column, precisions, column])
    envelope = np.maximum.accumulate(precisions[:, ::-1], axis=1)[:, ::-1]
    return (np.diff(recalls) * envelope[:, 1:]).sum(1)


def _mean_of_11_points(recalls: np.ndarray, precisions: np.ndarray) -> np.ndarray:
    """(R, n), (R, n) -> (R,)."""
    # an end a little above 1, which would be left out otherwise
    points = np.arange(0, 1 + 1e-3, 0.1)  # (11,)
    reached = recalls[:, None] >= points[:, None]  # (R, 11, n)
    return np.where(reached, precisions[:, None], 0).max(-1, initial=0).mean(1)


def get_cls_results(
    det_results: Sequence[Sequence[np.ndarray]], annotations: Sequence[dict], class_id: int
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Detections (n, 5), boxes (g, 4) and boxes to ignore (i, 4) of one class, an array for each image."""
    dets = [image[class_id] for image in det_results]
    gts, ignored = [], []
    for ann in annotations:
        gts.append(np.asarray(ann['bboxes']).reshape(-1, 4)[np.asarray(ann['labels']) == class_id])
        if ann.get('labels_ignore') is None:
            ignored.append(np.zeros((0, 4), dtype=np.float32))
        else:
            mask = np.asarray(ann['labels_ignore']) == class_id
            ignored.append(np.asarray(ann['bboxes_ignore']).reshape(-1, 4)[mask])
    return dets, gts, ignored


def get_cls_group_ofs(annotations: Sequence[dict], class_id: int) -> list[np.ndarray]:
    """Flags (g,) of the boxes of one class that stand for a group of objects, an array for each image."""
    flags = []
    for ann in annotations:
        mask = np.asarray(ann['labels']) == class_id
        groups = ann.get('gt_is_group_ofs')
        flags.append(np.zeros(mask.sum(), dtype=bool) if groups is None else np.asarray(groups, dtype=bool)[mask])
    return flags


def _default_rule(dataset: str | Sequence[str] | None) -> Callable:
    """The matching rule of a data set's name."""
    if dataset in ('det', 'vid'):
        return tpfp_imagenet
    openimages = dataset in ('oid_challenge', 'oid_v6') if is_str(dataset) else False
    return tpfp_openimages if openimages else tpfp_default


def eval_map(
    det_results: Sequence[Sequence[np.ndarray]],
    annotations: Sequence[dict],
    scale_ranges: Sequence[tuple[float, float]] | None = None,
    iou_thr: float = 0.5,
    ioa_thr: float | None = None,
    dataset: str | Sequence[str] | None = None,
    logger=None,
    tpfp_fn: Callable | None = None,
    nproc: int = 4,
    use_legacy_coordinate: bool = False,
    use_group_of: bool = False,
) -> tuple[float | list[float], list[dict]]:
    """Mean average precision of a data set.

    Args:
        det_results: for each image, for each class, (n, 5) xyxy px and score.
        annotations: for each image ``bboxes`` (g, 4), ``labels`` (g,), and optionally ``bboxes_ignore`` (i, 4),
            ``labels_ignore`` (i,), ``gt_is_group_ofs`` (g,).
        scale_ranges: pairs of px; only objects whose area lies between their squares count; None: all in one.
        iou_thr: overlap from which on a detection belongs to an object.
        ioa_thr: the same for a group's box (Open Images); None: objects only.
        dataset: name of a data set or its class names; chooses names, the matching rule (``'det'``, ``'vid'``,
            ``'oid_challenge'``, ``'oid_v6'``) and the kind of average (``'voc07'``).
        logger: where the table goes: a logger, None (print) or ``'silent'``.
        tpfp_fn: another matching rule, called with the arguments of :func:`tpfp_default`.
        nproc: not used: the work is done on whole arrays, in less time than processes take to start.
        use_legacy_coordinate: corners are inclusive pixels.
        use_group_of: whether a group's box is treated as such (Open Images).

    Returns:
        The mean over the classes that have objects (a list with one for each range if ``scale_ranges`` is given), and
        for each class ``num_gts``, ``num_dets``, ``recall``, ``precision`` and ``ap``.

    Raises:
        ValueError: not as many results as annotations.
        TypeError: ``tpfp_fn`` cannot be called.
    """
    if len(det_results) != len(annotations):
        raise ValueError(f'eval_map: results of {len(det_results)} images but annotations of {len(annotations)}')
    if tpfp_fn is not None and not callable(tpfp_fn):
        raise TypeError(f'tpfp_fn: expected a function or None, got {type(tpfp_fn).__name__}')
    rule = tpfp_fn or _default_rule(dataset)
    area_ranges = [(low**2, high**2) for low, high in scale_ranges] if scale_ranges is not None else None
    options = dict(area_ranges=area_ranges, use_legacy_coordinate=use_legacy_coordinate)
    options['default_iou_thr' if rule is tpfp_imagenet else 'iou_thr'] = iou_thr
    if rule is tpfp_openimages:
        options.update(use_group_of=use_group_of, ioa_thr=0.5 if ioa_thr is None else ioa_thr)
    mode = '11points' if dataset == 'voc07' else 'area'
    eval_results = []
    classes = range(len(det_results[0]) if len(det_results) else 0)
    for class_id in classes if logger == 'silent' else tracked(classes, f'evaluating classes at IoU {iou_thr}'):
        dets, gts, ignored = get_cls_results(det_results, annotations, class_id)
        images = zip(dets, gts, ignored)
        if rule is tpfp_openimages:
            groups = get_cls_group_ofs(annotations, class_id)
            matches = [rule(*image, gt_bboxes_group_of=group, **options) for image, group in zip(images, groups)]
        else:
            matches = [(*rule(*image, **options)[:2], image[0]) for image in images]
        num_gts = _count_objects(gts, area_ranges, use_legacy_coordinate)
        eval_results.append(_class_result(matches, num_gts, mode, scale_ranges is not None))
    mean_ap = _mean_over_classes(eval_results, None if scale_ranges is None else len(scale_ranges))
    print_map_summary(mean_ap, eval_results, dataset, area_ranges, logger=logger)
    return mean_ap, eval_results


def _count_objects(gts: list[np.ndarray], area_ranges: list | None, use_legacy_coordinate: bool) -> np.ndarray:
    """(R,) objects of one class inside each range."""
    boxes = np.concatenate([np.zeros((0, 4)), *gts])
    return inside_ranges(box_areas(boxes, use_legacy_coordinate), area_ranges or ANY_AREA).sum(1)


def _class_result(
    matches: list[tuple[np.ndarray, np.ndarray, np.ndarray]], num_gts: np.ndarray, mode: str, by_range: bool
) -> dict:
    """Curve and average precision of one class.

    Args:
        matches: for each image right flags (R, m), wrong flags (R, m) and the detections (m, 5) that they belong to.
        num_gts: (R,) objects.
        mode: of :func:`average_precision`.
        by_range: give (R,) figures and (R, n) curves, else one figure and (n,) curves.
    """
    dets = np.concatenate([match[2] for match in matches])
    # over all images at once: scores of different images compete, as one threshold holds for all
    order = by_score(dets)
    tp = np.hstack([match[0] for match in matches])[:, order].cumsum(1)
    fp = np.hstack([match[1] for match in matches])[:, order].cumsum(1)
    recalls = tp / np.maximum(num_gts[:, None], _EPS)
    precisions = tp / np.maximum(tp + fp, _EPS)
    if not by_range:
        recalls, precisions, num_gts = recalls[0], precisions[0], num_gts.item()
    return dict(
        num_gts=num_gts,
        num_dets=len(dets),
        recall=recalls,
        precision=precisions,
        ap=average_precision(recalls, precisions, mode),
    )


def _mean_over_classes(eval_results: list[dict], num_ranges: int | None) -> float | list[float]:
    """Mean over the classes with objects, 0 where there are none; one for each range if their number is given."""
    if not eval_results:
        return 0.0 if num_ranges is None else [0.0] * num_ranges
    aps = np.vstack([result['ap'] for result in eval_results])  # (classes, R)
    counts = np.vstack([result['num_gts'] for result in eval_results])
    # classes without objects have no precision, and must not count as 0
    means = [float(ap[num > 0].mean()) if (num > 0).any() else 0.0 for ap, num in zip(aps.T, counts.T)]
    return means[0] if num_ranges is None else means


def print_map_summary(
    mean_ap: float | list[float],
    results: Sequence[dict],
    dataset: str | Sequence[str] | None = None,
    scale_ranges: Sequence[tuple[float, float]] | None = None,
    logger=None,
) -> None:
    """Print a table with a row for each class; one table for each area range.

    Args:
        mean_ap: the mean, or one for each range.
        results: what :func:`eval_map` gives for each class.
        dataset: a data set's name or the class names; None: the classes' numbers.
        scale_ranges: ranges of area (px²), shown above their tables.
        logger: a logger, None (print) or ``'silent'``.
    """
    if logger == 'silent':
        return
    means = mean_ap if isinstance(mean_ap, list | tuple) else [mean_ap]
    names = _row_names(dataset, len(results))
    for i, mean in enumerate(means):
        rows = [['class', 'gts', 'dets', 'recall', 'ap']]
        for name, result in zip(names, results):
            recall = np.atleast_2d(result['recall'])[i]
            last = recall[-1] if recall.size else 0.0
            num_gts, ap = np.atleast_1d(result['num_gts'])[i], np.atleast_1d(result['ap'])[i]
            rows.append([name, num_gts, result['num_dets'], f'{last:.3f}', f'{ap:.3f}'])
        rows.append(['mAP', '', '', '', f'{mean:.3f}'])
        table = AsciiTable(rows)
        table.inner_footing_row_border = True
        if scale_ranges is not None:
            print_log(f'Objects with an area in {scale_ranges[i]} px²', logger=logger)
        print_log('\n' + table.table, logger=logger)


def _row_names(dataset: str | Sequence[str] | None, count: int) -> list[str]:
    if dataset is None:
        return [str(i) for i in range(count)]
    return list(get_classes(dataset) if is_str(dataset) else dataset)


__all__ = [
    'average_precision',
    'eval_map',
    'get_cls_group_ofs',
    'get_cls_results',
    'print_map_summary',
    'tpfp_default',
    'tpfp_imagenet',
    'tpfp_openimages',
]
