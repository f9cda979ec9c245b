"""Average recall of proposals against a COCO file (metric ``proposal_fast``), without a run of pycocotools."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mmcv.utils import print_log

from mmdet.core.evaluation.recall import eval_recalls
from mmdet.datasets.api_wrappers.coco_api import COCO
from mmdet.datasets.audit.annotation_rules import is_ignored
from mmdet.datasets.formats.coco_entries import xyxy_of


def average_recalls(
    coco_gt: COCO,
    img_ids: Sequence[int],
    results: Sequence[np.ndarray],
    proposal_nums: Sequence[int],
    iou_thrs: Sequence[float],
    logger: Any = None,
) -> np.ndarray:
    """(P,) mean over the thresholds of the recall for each number of proposals; classes are left aside, crowds too.

    Args:
        coco_gt: annotations.
        img_ids: of the images, in the order of ``results``.
        results: proposals (n, 5) of each image.
        proposal_nums: P numbers of proposals, of the best scores, that count.
        iou_thrs: thresholds.
        logger: where a table goes.
    """
    anns = (coco_gt.img_ann_map.get(img_id, []) for img_id in img_ids)
    gts = [xyxy_of([ann for ann in of_image if not is_ignored(ann)]) for of_image in anns]
    return eval_recalls(gts, results, proposal_nums, iou_thrs, logger=logger).mean(axis=1)


def recall_figures(
    results: Sequence[Any], proposal_nums: Sequence[int], recalls: Callable[[], np.ndarray], logger: Any
) -> dict[str, float]:
    """``AR@100``, ... for each number of proposals, which go to the log too; ``recalls`` computes them.

    Raises:
        KeyError: the results are no proposals.
    """
    if len(results) and not isinstance(results[0], np.ndarray):
        raise KeyError(
            "metric 'proposal_fast' needs proposals, one array (n, 5) for each image; the results are "
            'detections of classes'
        )
    figures = OrderedDict((f'AR@{num}', float(recall)) for num, recall in zip(proposal_nums, recalls()))
    print_log(''.join(f'\n{name}\t{value:.4f}' for name, value in figures.items()), logger=logger)
    return figures
