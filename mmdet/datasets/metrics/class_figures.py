"""Figures by class among those of an evaluation: ``bbox_AP/cat``, ``bbox_F1/cat``, ..., and F1 of all classes."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import mmcv
import numpy as np
from mmcv.utils import print_log
from terminaltables import AsciiTable

from mmdet.datasets.api_wrappers.coco_api import COCO
from mmdet.datasets.metrics.best_threshold import CategoryThreshold, Threshold, category_thresholds
from mmdet.datasets.metrics.coco_ground_truth import evaluation_copy

MARK = '/'  # between a figure and its class; loggers part names there
F1_ITEMS = ('F1', 'precision', 'recall')  # each at the score from which on F1 of a class is best
NOTHING_FOUND = Threshold(1.0, 0.0, 0.0, 0.0)


def wants_f1(metric_items: Sequence[str] | str | None) -> bool:
    """Whether figures at the thresholds of the best F1 are asked for."""
    return not set(F1_ITEMS).isdisjoint([metric_items] if isinstance(metric_items, str) else metric_items or ())


def box_f1(
    coco_gt: COCO,
    result_file: str,
    cat_ids: Sequence[int],
    img_ids: Sequence[int],
    metric_items: Sequence[str] | str,
    classwise: bool,
    logger=None,
) -> dict[str, float]:
    """Figures of F1 of boxes, with a table of the classes in the log.

    Args:
        coco_gt: annotations; objects to ignore count neither way.
        result_file: JSON list of COCO's results.
        cat_ids: categories that count.
        img_ids: images that count.
        metric_items: see :func:`f1_figures`, as is ``classwise``.
        logger: a logger, None (print) or ``'silent'``.
    """
    annotations = evaluation_copy(coco_gt, img_ids).dataset['annotations']
    found = category_thresholds(annotations, mmcv.load(result_file), cat_ids, img_ids)
    names = {cat_id: cat['name'] for cat_id, cat in coco_gt.cats.items()}
    print_log('\n' + f1_table(found, names), logger=logger)
    items = [metric_items] if isinstance(metric_items, str) else metric_items
    return f1_figures(found, names, items, classwise)


def mean_of_known(values: np.ndarray) -> float:
    """Mean of the values that are not -1; -1 where there are none."""
    known = values[values > -1]
    return float(known.mean()) if known.size else -1.0


def by_class(figure: str, names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    """``'bbox_AP'`` -> ``bbox_AP/cat``, ...; a class without anything to find (NaN) has no figure."""
    return OrderedDict(
        (f'{figure}{MARK}{name}', round(float(value), 4)) for name, value in zip(names, values) if not np.isnan(value)
    )


def f1_figures(
    thresholds: Sequence[CategoryThreshold],
    names: Mapping[int, str],
    metric_items: Sequence[str],
    classwise: bool,
    prefix: str = 'bbox',
) -> dict[str, float]:
    """Means over the classes that have objects, -1 without any; with ``classwise`` also of each class.

    Args:
        thresholds: of the categories with objects.
        names: category id -> name.
        metric_items: of ``F1_ITEMS`` those to give; other names are left out.
        classwise: also ``bbox_F1/cat``, ... and ``bbox_threshold/cat``.
        prefix: of the figures' names.
    """
    found = [own.best or NOTHING_FOUND for own in thresholds]
    classes = [names[own.cat_id] for own in thresholds]
    out: dict[str, float] = OrderedDict()
    for item in (name for name in F1_ITEMS if name in metric_items):
        values = [getattr(best, item.lower()) for best in found]
        out[f'{prefix}_{item}'] = round(float(np.mean(values)), 4) if values else -1.0
        if classwise:
            out.update(by_class(f'{prefix}_{item}', classes, values))
    if classwise:
        out.update(by_class(f'{prefix}_threshold', classes, [best.score for best in found]))
    return out


def f1_table(thresholds: Sequence[CategoryThreshold], names: Mapping[int, str]) -> str:
    """A line for each class with objects: the score from which on F1 is best, and what it gives."""
    rows = [
        [names[own.cat_id], *('-' if own.best is None else f'{value:.3f}' for value in own.best or NOTHING_FOUND)]
        for own in thresholds
    ]
    return AsciiTable([['category', 'best threshold', 'precision', 'recall', 'F1'], *rows]).table
