"""mAP and recall of the data sets that are not evaluated in COCO's way."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.utils import print_log

from mmdet.core.evaluation.mean_ap import eval_map
from mmdet.core.evaluation.recall import eval_recalls
from mmdet.datasets.metrics.class_figures import by_class
from mmdet.utils.registry import did_you_mean


def only_metric(metric: str | Sequence[str], known: Sequence[str], where: str) -> str:
    """The one metric asked for.

    Raises:
        KeyError: it is not known.
        ValueError: several are asked for.
    """
    names = [metric] if isinstance(metric, str) else list(metric)
    if len(names) != 1:
        raise ValueError(f'{where}.evaluate: expected one metric, got {names}')
    if names[0] not in known:
        raise KeyError(
            f'{where}.evaluate: metric {names[0]!r} is not supported{did_you_mean(names[0], known)} '
            f'Known: {", ".join(known)}'
        )
    return names[0]


def map_metrics(
    annotations: Sequence[dict],
    results: Sequence[Any],
    iou_thrs: Sequence[float],
    scale_ranges: Sequence[tuple[float, float]] | None,
    dataset: str | Sequence[str] | None,
    logger,
    class_names: Sequence[str] | None = None,
    **options,
) -> dict[str, float]:
    """``AP50``, ... for each threshold, rounded, and their mean ``mAP``; with scale ranges, their mean of each.

    With ``class_names`` also ``AP50/cat``, ... of each class that has objects.
    """
    metrics, parted, means = OrderedDict(), OrderedDict(), []
    for thr in iou_thrs:
        print_log(f'\n---------------iou_thr: {thr}---------------', logger=logger)
        mean_ap, of_classes = eval_map(
            results, annotations, scale_ranges=scale_ranges, iou_thr=thr, dataset=dataset, logger=logger, **options
        )
        means.append(float(np.mean(mean_ap)))
        metrics[f'AP{int(round(thr * 100)):02d}'] = round(means[-1], 3)
        if class_names is not None:
            aps = [np.mean(own['ap']) if np.sum(own['num_gts']) else np.nan for own in of_classes]
            parted.update(by_class(f'AP{int(round(thr * 100)):02d}', class_names, aps))
    metrics['mAP'] = sum(means) / len(means)
    return OrderedDict({**metrics, **parted})


def recall_metrics(
    annotations: Sequence[dict],
    proposals: Sequence[np.ndarray],
    proposal_nums: Sequence[int],
    iou_thrs: Sequence[float],
    logger,
    **options,
) -> dict[str, float]:
    """``recall@100@0.5``, ... and, for several thresholds, ``AR@100``, ..., the mean over them."""
    gts = [ann['bboxes'] for ann in annotations]
    recalls = eval_recalls(gts, proposals, proposal_nums, iou_thrs, logger=logger, **options)
    metrics = OrderedDict()
    for i, num in enumerate(proposal_nums):
        for j, thr in enumerate(iou_thrs):
            metrics[f'recall@{num}@{thr}'] = float(recalls[i, j])
    if len(iou_thrs) > 1:
        for i, num in enumerate(proposal_nums):
            metrics[f'AR@{num}'] = float(recalls[i].mean())
    return metrics
