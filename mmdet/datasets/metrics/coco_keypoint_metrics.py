"""COCO's metric of keypoints: average precision over thresholds of the object keypoint similarity (OKS)."""

import contextlib
import copy
import io
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from mmdet.datasets.api_wrappers.coco_api import COCO, COCOeval
from mmdet.datasets.metrics.coco_ground_truth import evaluation_copy
from mmdet.datasets.metrics.coco_metrics import METRICS as BOX_METRICS
from mmdet.datasets.metrics.coco_metrics import load_results
from mmdet.utils.registry import did_you_mean

# the ten figures, in COCO's order: name, title, thresholds, area
FIGURES = (
    ('mAP', 'Average Precision', '0.50:0.95', 'all'),
    ('mAP_50', 'Average Precision', '0.50', 'all'),
    ('mAP_75', 'Average Precision', '0.75', 'all'),
    ('mAP_m', 'Average Precision', '0.50:0.95', 'medium'),
    ('mAP_l', 'Average Precision', '0.50:0.95', 'large'),
    ('AR', 'Average Recall', '0.50:0.95', 'all'),
    ('AR_50', 'Average Recall', '0.50', 'all'),
    ('AR_75', 'Average Recall', '0.75', 'all'),
    ('AR_m', 'Average Recall', '0.50:0.95', 'medium'),
    ('AR_l', 'Average Recall', '0.50:0.95', 'large'),
)
MAX_DETS = 20  # COCO's number of detections an image for this metric


def check_names(metrics: Sequence[str], known: Sequence[str]) -> None:
    """Check names of metrics.

    Raises:
        KeyError: one is unknown.
    """
    for name in metrics:
        if name not in known:
            raise KeyError(f'metric {name!r} is not supported{did_you_mean(name, known)} Known: {", ".join(known)}')


def check_sigmas(sigmas: Sequence[float] | None, num_keypoints: int) -> np.ndarray:
    """Sigmas (K,) as an array.

    Raises:
        ValueError: there are none, or not K above 0.
    """
    if sigmas is None:
        raise ValueError("the skeleton has no sigmas: give it some, or evaluate with keypoint_sigmas=[...], for 'OKS'")
    array = np.asarray(sigmas, dtype=np.float64)
    if array.shape != (num_keypoints,) or (array <= 0).any():
        raise ValueError(f'keypoint_sigmas: expected {num_keypoints} numbers above 0, got {sigmas}')
    return array


def run_keypoint_eval(
    coco_gt: COCO,
    result_file: str,
    cat_ids: Sequence[int],
    img_ids: Sequence[int],
    sigmas: np.ndarray,
    logger=None,
) -> dict[str, float]:
    """Evaluate one file of results.

    Args:
        coco_gt: annotations; an object without labelled keypoints counts neither way.
        result_file: JSON list of COCO's results with ``keypoints``.
        cat_ids: categories that count.
        img_ids: images that count.
        sigmas: (K,) standard deviations, fractions of the square root of an object's area.
        logger: where a note about empty results goes.

    Returns:
        'mAP', 'mAP_50', ... -> figure; -1 where there is nothing to find.
    """
    coco_gt = _with_counts(coco_gt)
    coco_gt = evaluation_copy(coco_gt, img_ids)
    coco_dt = load_results(coco_gt, result_file, 'keypoints', logger)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        run = COCOeval(coco_gt, coco_dt, 'keypoints')
        run.params.catIds, run.params.imgIds = list(cat_ids), list(img_ids)
        run.params.kpt_oks_sigmas = sigmas
        run.params.maxDets = [MAX_DETS]
        run.evaluate()
        run.accumulate()
        run.summarize()
    return OrderedDict((name, float(value)) for (name, *_), value in zip(FIGURES, run.stats))


def _with_counts(coco_gt: COCO) -> COCO:
    """Annotations with ``keypoints`` and ``num_keypoints``, which pycocotools wants of all; some files lack them."""
    anns = coco_gt.dataset.get('annotations', [])
    longest = max((len(ann.get('keypoints') or ()) for ann in anns), default=0)
    filled = []
    for ann in anns:
        keypoints = ann.get('keypoints') or [0] * longest
        count = int((np.asarray(keypoints[2::3]) > 0).sum())
        filled.append({'num_keypoints': count, **ann, 'keypoints': keypoints})
    made = copy.copy(coco_gt)
    made.dataset = {'info': {}, **coco_gt.dataset, 'annotations': filled}
    with contextlib.redirect_stdout(io.StringIO()):
        made.createIndex()
    return made


def keypoint_table(figures: dict[str, float]) -> str:
    """The ten figures as aligned lines, as COCO prints them."""
    return '\n'.join(
        f'{title:<18} @[ OKS={oks:<9} | area={area:>6} | maxDets={MAX_DETS:>3} ] = {figures[name]:7.4f}   {name}'
        for name, title, oks, area in FIGURES
    )


__all__ = ['BOX_METRICS', 'FIGURES', 'check_names', 'check_sigmas', 'keypoint_table', 'run_keypoint_eval']
