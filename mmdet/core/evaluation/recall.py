"""Recall of proposals: the fraction of the objects that have a proposal of their own."""

from collections.abc import Sequence

import numpy as np
from mmcv.utils import print_log
from terminaltables import AsciiTable

from mmdet.core.evaluation.bbox_overlaps import bbox_overlaps


def _recalls(all_ious: Sequence[np.ndarray], proposal_nums: Sequence[int], thrs: Sequence[float]) -> np.ndarray:
    """Recall for each number of proposals and each threshold.

    Args:
        all_ious: one (objects, proposals) array an image, proposals in the order of their scores, best first.
        proposal_nums: how many proposals of each image count; (P,).
        thrs: IoU from which on an object counts as found; (T,).

    Returns:
        (P, T) in [0, 1]; 0 where there is no object at all.
    """
    total = sum(len(ious) for ious in all_ious)
    recalls = np.zeros((len(proposal_nums), len(thrs)), dtype=np.float32)
    for i, num in enumerate(proposal_nums):
        best = np.concatenate([_match_greedily(ious[:, :num]) for ious in all_ious] or [np.zeros(0)])
        recalls[i] = (best[:, None] >= np.asarray(thrs)).sum(0) / max(total, 1)
    return recalls


def _match_greedily(ious: np.ndarray) -> np.ndarray:
    """IoU of each object with the proposal it is given; best pair first, every proposal given once.

    Greedy assignment is sequential by its nature, hence the loop, over the objects of one image.

    Args:
        ious: (objects, proposals).

    Returns:
        (objects,); 0 for an object that no proposal is left for.
    """
    ious = ious.copy()
    best = np.zeros(len(ious), dtype=np.float32)
    for i in range(min(ious.shape)):
        obj, prop = np.unravel_index(ious.argmax(), ious.shape)
        best[i] = ious[obj, prop]
        ious[obj, :] = -1
        ious[:, prop] = -1
    return best


def set_recall_param(
    proposal_nums: Sequence[int] | int | np.ndarray | None, iou_thrs: Sequence[float] | float | np.ndarray | None
) -> tuple[np.ndarray | None, np.ndarray]:
    """Both parameters as arrays; no threshold means 0.5."""
    nums = None if proposal_nums is None else np.atleast_1d(np.asarray(proposal_nums))
    thrs = np.atleast_1d(np.asarray(0.5 if iou_thrs is None else iou_thrs, dtype=float))
    return nums, thrs


def eval_recalls(
    gts: Sequence[np.ndarray],
    proposals: Sequence[np.ndarray],
    proposal_nums: Sequence[int] | int | None = None,
    iou_thrs: Sequence[float] | float = 0.5,
    logger=None,
    use_legacy_coordinate: bool = False,
) -> np.ndarray:
    """Recall of the proposals of a data set.

    Args:
        gts: one (objects, 4) array an image, xyxy px.
        proposals: one (proposals, 4 or 5) array an image; a fifth column is the score, and without it the order given
            counts as the order of the scores.
        proposal_nums: how many proposals of an image count; None: all, as many as the richest image has.
        iou_thrs: IoU from which on an object is found.
        logger: where the table goes: a logger, None (print) or ``'silent'``.
        use_legacy_coordinate: corners are inclusive pixels.

    Returns:
        (numbers, thresholds) recalls.

    Raises:
        ValueError: not as many proposal arrays as images.
    """
    if len(gts) != len(proposals):
        raise ValueError(f'eval_recalls: {len(gts)} images with objects but proposals for {len(proposals)}')
    nums, thrs = set_recall_param(proposal_nums, iou_thrs)
    if nums is None:
        nums = np.asarray([max((len(p) for p in proposals), default=0)])
    ious = [_image_ious(gt, prop, nums.max(), use_legacy_coordinate) for gt, prop in zip(gts, proposals)]
    recalls = _recalls(ious, nums, thrs)
    print_recall_summary(recalls, nums, thrs, logger=logger)
    return recalls


def _image_ious(gt: np.ndarray | None, proposals: np.ndarray, max_num: int, use_legacy_coordinate: bool) -> np.ndarray:
    """(objects, proposals) IoU of one image, the best ``max_num`` proposals in falling order of score."""
    proposals = np.asarray(proposals)
    if proposals.size == 0:
        proposals = np.zeros((0, 4), dtype=np.float32)
    if proposals.shape[1] == 5:
        proposals = proposals[np.argsort(-proposals[:, 4], kind='stable')]
    gt = np.zeros((0, 4), dtype=np.float32) if gt is None else np.asarray(gt)
    return bbox_overlaps(gt, proposals[:max_num, :4], use_legacy_coordinate=use_legacy_coordinate)


def print_recall_summary(
    recalls: np.ndarray,
    proposal_nums: Sequence[int],
    iou_thrs: Sequence[float],
    row_idxs: Sequence[int] | None = None,
    col_idxs: Sequence[int] | None = None,
    logger=None,
) -> None:
    """Print recalls as a table: one row a number of proposals, one column a threshold.

    Args:
        recalls: (P, T).
        proposal_nums: (P,).
        iou_thrs: (T,).
        row_idxs: which numbers to show; None: all.
        col_idxs: which thresholds to show; None: all.
        logger: a logger, None (print) or ``'silent'``.
    """
    nums, thrs = np.asarray(proposal_nums), np.asarray(iou_thrs)
    rows = np.arange(nums.size) if row_idxs is None else np.asarray(row_idxs)
    cols = np.arange(thrs.size) if col_idxs is None else np.asarray(col_idxs)
    table = [['proposals', *(f'IoU {thr:.2f}' for thr in thrs[cols])]]
    table += [[str(nums[row]), *(f'{value:.3f}' for value in recalls[row, cols])] for row in rows]
    print_log('\n' + AsciiTable(table).table, logger=logger)


def plot_num_recall(recalls: np.ndarray, proposal_nums: Sequence[int]) -> None:
    """Show recall over the number of proposals.

    Args:
        recalls: (P,).
        proposal_nums: (P,).
    """
    _plot([0, *proposal_nums], [0, *recalls], 'Proposals per image', (0, max(proposal_nums)))


def plot_iou_recall(recalls: np.ndarray, iou_thrs: Sequence[float]) -> None:
    """Show recall over the IoU threshold.

    Args:
        recalls: (T,).
        iou_thrs: (T,).
    """
    _plot([*iou_thrs, 1.0], [*recalls, 0.0], 'IoU', (min(iou_thrs), 1))


def _plot(x: Sequence[float], y: Sequence[float], label: str, limits: tuple[float, float]) -> None:
    import matplotlib.pyplot as plt  # an optional requirement, slow to import

    figure, axes = plt.subplots()
    axes.plot(x, y)
    axes.set(xlabel=label, ylabel='Recall', xlim=limits, ylim=(0, 1))
    plt.show()
    plt.close(figure)
