"""Suppression of overlapping boxes: hard, soft, per class, and with the list of what was suppressed.

Boxes are (n, 4) xyxy in pixels. ``offset`` is 0 for boxes whose width is ``x2 - x1`` and 1 for the old convention of
inclusive corners, where it is ``x2 - x1 + 1``. Suppression is a decision about indices: no gradient flows through it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

import numpy as np
import torch
import torchvision.ops
from mmcv.utils import deprecated_api_warning
from torch import Tensor

from mmdet.ops.rotated import nms_rotated
from mmdet.utils.running.replaceable import replaceable

_LEAST_FOR_GROUPS = 2000  # boxes on a CPU from which groups are faster worked on one by one
# Boxes of one call on a GPU, which keeps a bit for each pair of them: 34 MB, and 2.7 GFLOP in float64 for the overlaps.
MOST_BOXES_OF_NMS = 2**14
SOFT_METHODS = ('naive', 'linear', 'gaussian')


def _accepts_arrays(func: Callable) -> Callable:
    """Let ``func`` take numpy arrays too, and give arrays back for them."""

    def to_numpy(result: Any) -> Any:
        if isinstance(result, Tensor):
            return result.numpy()
        return type(result)(to_numpy(item) for item in result)

    @wraps(func)
    def wrapper(boxes: Tensor | np.ndarray, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(boxes, np.ndarray):
            return func(boxes, *args, **kwargs)
        args = [torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in args]
        kwargs = {k: torch.from_numpy(a) if isinstance(a, np.ndarray) else a for k, a in kwargs.items()}
        return to_numpy(func(torch.from_numpy(boxes), *args, **kwargs))

    return wrapper


def _check_boxes(boxes: Tensor, scores: Tensor, offset: int) -> None:
    if boxes.ndim != 2 or boxes.size(1) != 4 or scores.shape != boxes.shape[:1]:
        raise ValueError(f'expected boxes (n, 4) and scores (n,), got {tuple(boxes.shape)} and {tuple(scores.shape)}')
    if offset not in (0, 1):
        raise ValueError(f'offset must be 0 (x2 - x1) or 1 (x2 - x1 + 1), got {offset}')


def _comparable(boxes: Tensor, offset: int) -> Tensor:
    """Detached boxes in full precision, whose plain width and height are those of the ``offset`` convention."""
    boxes = boxes.detach()
    boxes = boxes if boxes.dtype == torch.float64 else boxes.float()
    return boxes + boxes.new_tensor([0, 0, offset, offset]) if offset else boxes


@replaceable
@deprecated_api_warning({'iou_thr': 'iou_threshold'})
@_accepts_arrays
def nms(
    boxes: Tensor,
    scores: Tensor,
    iou_threshold: float,
    offset: int = 0,
    score_threshold: float = 0,
    max_num: int = -1,
) -> tuple[Tensor, Tensor]:
    """Drop every box that overlaps a better one by more than ``iou_threshold``.

    Args:
        boxes: (n, 4) xyxy.
        scores: (n,).
        iou_threshold: an IoU greater than this suppresses.
        offset: 0 or 1, see the module.
        score_threshold: where positive, only boxes with a greater score take part.
        max_num: keep so many at most; -1: all.

    Returns:
        (k, 5) boxes with their score, best first, and the (k,) indices of these in ``boxes``.

    Raises:
        ValueError: wrong shapes or offset.
    """
    _check_boxes(boxes, scores, offset)
    shifted = _comparable(boxes, offset)
    ranking = scores.detach().to(shifted)  # the kernel wants one dtype
    # boxes of equal score are visited in the order of torch's default sort, as compiled mmcv does: published results
    # depend on it where many boxes tie
    ranking, order = ranking.sort(descending=True)
    if score_threshold > 0:
        above = ranking > score_threshold
        ranking, order = ranking[above], order[above]
    keep = order[torchvision.ops.nms(shifted[order], ranking, float(iou_threshold))]
    if max_num > 0:
        keep = keep[:max_num]
    return torch.cat([boxes[keep], scores[keep, None]], dim=1), keep


@deprecated_api_warning({'iou_thr': 'iou_threshold'})
@_accepts_arrays
def soft_nms(
    boxes: Tensor,
    scores: Tensor,
    iou_threshold: float = 0.3,
    sigma: float = 0.5,
    min_score: float = 1e-3,
    method: str = 'linear',
    offset: int = 0,
) -> tuple[Tensor, Tensor]:
    """Lower the scores of boxes that overlap a better one, in place of dropping them (Soft-NMS, arXiv:1704.04503).

    Args:
        boxes: (n, 4) xyxy.
        scores: (n,).
        iou_threshold: overlap from which ``'linear'`` and ``'naive'`` act; ``'gaussian'`` always acts.
        sigma: width of the gaussian, in squared IoU.
        min_score: a box that falls below is dropped; the best box stays whatever its score.
        method: factor on the score of a box that overlaps a kept one by ``iou``: ``'linear'`` 1 - iou,
            ``'gaussian'`` exp(-iou**2 / sigma), ``'naive'`` 0 (as in hard suppression).
        offset: 0 or 1, see the module.

    Returns:
        (k, 5) boxes with their lowered score, in the order they were chosen, and their (k,) indices.

    Raises:
        ValueError: unknown method, wrong shapes or offset.
    """
    _check_boxes(boxes, scores, offset)
    if method not in SOFT_METHODS:
        raise ValueError(f'soft_nms: method must be one of {SOFT_METHODS}, got {method!r}')
    corners, left = _comparable(boxes, offset).cpu().numpy(), scores.detach().float().cpu().numpy()
    active = np.arange(len(left))
    kept, kept_scores = [], []
    while len(active):
        best = left.argmax()
        kept.append(active[best])
        kept_scores.append(left[best])
        left = left * _decay(_iou_row(corners[best], corners), iou_threshold, sigma, method)
        stay = left >= min_score
        stay[best] = False  # it is kept already, and was compared with itself
        active, corners, left = active[stay], corners[stay], left[stay]
    inds = torch.tensor(kept, dtype=torch.long, device=boxes.device)
    return torch.cat([boxes[inds], boxes.new_tensor(kept_scores)[:, None]], dim=1), inds


def _iou_row(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """IoU (n,) of one box (4,) with n boxes (n, 4).

    In numpy: each step of a greedy choice waits for the one before, and numpy starts small operations faster than
    torch does, most of all on a GPU.
    """
    inter_wh = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    inter = inter_wh.clip(min=0).prod(1)
    union = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - inter
    return inter / np.maximum(union, np.finfo(union.dtype).tiny)


def _decay(iou: np.ndarray, iou_threshold: float, sigma: float, method: str) -> np.ndarray:
    if method == 'gaussian':
        return np.exp(-(iou**2) / sigma)
    return np.where(iou >= iou_threshold, 1 - iou if method == 'linear' else 0, 1).astype(iou.dtype)


NMS_OPS: dict[str, Callable] = {'nms': nms, 'soft_nms': soft_nms, 'nms_rotated': nms_rotated}


@replaceable
def batched_nms(
    boxes: Tensor, scores: Tensor, idxs: Tensor, nms_cfg: Mapping | None, class_agnostic: bool = False
) -> tuple[Tensor, Tensor]:
    """Suppression within each group of ``idxs`` (a class, a level) alone.

    Args:
        boxes: (n, 4) xyxy, or (n, 5) rotated (see :mod:`mmdet.ops.rotated`).
        scores: (n,).
        idxs: (n,) group of each box; boxes of different groups never suppress each other.
        nms_cfg: ``type`` (``'nms'``, ``'soft_nms'`` or ``'nms_rotated'``) and its arguments, and also
            ``class_agnostic`` (overrides the argument), ``max_num`` (of all groups together; -1: all) and
            ``split_thr`` (from so many boxes on, default 10000, the groups are worked on one by one, to save memory;
            on a GPU several together, as far as they have :data:`MOST_BOXES_OF_NMS` boxes).
            None: nothing is suppressed, only sorted.
        class_agnostic: all boxes are one group.

    Returns:
        (k, 5 or 6) boxes with their (for soft_nms lowered) score, best first, and their (k,) indices.

    Raises:
        ValueError: unknown type, wrong shapes.
    """
    if nms_cfg is None:
        scores, keep = scores.sort(descending=True)
        return torch.cat([boxes[keep], scores[:, None]], dim=1), keep
    cfg = dict(nms_cfg)
    class_agnostic = cfg.pop('class_agnostic', class_agnostic)
    max_num, split_thr = cfg.pop('max_num', -1), cfg.pop('split_thr', 10000)
    suppress = _nms_op(cfg)
    on_cpu = boxes.device.type == 'cpu'
    least, end, together = (_LEAST_FOR_GROUPS, split_thr, 0) if on_cpu else (split_thr, np.inf, MOST_BOXES_OF_NMS)
    if suppress is nms and not class_agnostic and least <= len(boxes) < end:
        kept_scores, keep = _nms_within_groups(boxes, scores, idxs, together, **cfg)
    elif len(boxes) < split_thr:
        grouped = boxes if class_agnostic else _apart(boxes, idxs)
        dets, keep = suppress(grouped, scores, **cfg)
        kept_scores = dets[:, -1].to(scores)
    else:
        groups = torch.zeros_like(idxs) if class_agnostic else idxs
        kept_scores, keep = _suppress_by_group(suppress, boxes, scores, groups, cfg)
    if max_num > 0:
        kept_scores, keep = kept_scores[:max_num], keep[:max_num]
    return torch.cat([boxes[keep], kept_scores[:, None]], dim=1), keep


def _nms_op(cfg: dict) -> Callable:
    """Take ``type`` out of ``cfg`` and give its function; ``iou_thr``, the old name, becomes ``iou_threshold``."""
    name = cfg.pop('type', 'nms')
    if name not in NMS_OPS:
        raise ValueError(f'nms_cfg: type must be one of {list(NMS_OPS)}, got {name!r}')
    if 'iou_thr' in cfg:
        cfg.setdefault('iou_threshold', cfg.pop('iou_thr'))
    return NMS_OPS[name]


def _apart(boxes: Tensor, idxs: Tensor) -> Tensor:
    """Boxes moved so that groups cannot meet; in float64, as float32 would lose parts of a pixel far out."""
    if not len(boxes):
        return boxes
    boxes = boxes.detach().double()
    if boxes.size(1) == 5:  # rotated: only the centre moves, further than any box reaches
        span = boxes[:, :2].max() - boxes[:, :2].min() + boxes[:, 2:4].sum(1).max() + 1
        return torch.cat([boxes[:, :2] + idxs.to(boxes)[:, None] * span, boxes[:, 2:]], 1)
    span = boxes.max() - boxes.min() + 1
    return boxes + idxs.to(boxes)[:, None] * span


def _nms_within_groups(
    boxes: Tensor,
    scores: Tensor,
    idxs: Tensor,
    together: int,
    iou_threshold: float,
    offset: int = 0,
    score_threshold: float = 0,
) -> tuple[Tensor, Tensor]:
    """Scores and indices of what :func:`nms` keeps of boxes that are moved apart by group, best first.

    The cost of a call grows with the square of its boxes, so that a CPU works group by group. The host of a GPU waits
    for each call, so that groups go together as long as they have ``together`` boxes at most.
    """
    _check_boxes(boxes, scores, offset)
    comparable = _comparable(boxes.detach().double(), offset)
    ranking, order = scores.detach().to(comparable).sort(descending=True)  # ties as in `nms`
    if score_threshold > 0:
        order = order[ranking > score_threshold]
    # stable: within its group each box keeps its rank
    places = idxs[order].sort(stable=True)
    sizes = places.values.unique_consecutive(return_counts=True)[1].tolist()
    packs = _packs(sizes, together)
    grouped, starts = comparable[order[places.indices]], np.cumsum([0, *sizes])
    kept = torch.zeros(len(order), dtype=torch.bool, device=order.device)
    for first, end in packs:
        part = slice(starts[first], starts[end])
        members, candidates = places.indices[part], grouped[part]
        if end - first > 1:
            candidates = _apart(candidates, places.values[part])
        # the members stand best first: falling numbers in place of the scores keep ties in that order
        best_first = torch.arange(len(members), 0, -1, dtype=comparable.dtype, device=order.device)
        found = torchvision.ops.nms(candidates, best_first, float(iou_threshold))
        kept.index_fill_(0, members[found], True)
    keep = order[kept]
    return scores[keep], keep


def _packs(sizes: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Neighbouring groups that have ``most`` boxes together at most, as first and end; a larger one is alone."""
    packs: list[tuple[int, int]] = []
    room = 0
    for i, size in enumerate(sizes):
        if size <= room:
            packs[-1] = (packs[-1][0], i + 1)
            room -= size
        else:
            packs.append((i, i + 1))
            room = most - size
    return packs


def _suppress_by_group(
    suppress: Callable, boxes: Tensor, scores: Tensor, idxs: Tensor, cfg: dict
) -> tuple[Tensor, Tensor]:
    """Scores and indices of the boxes that stay, best first, each group by itself."""
    kept_scores, keep = [scores[:0]], [idxs.new_zeros(0, dtype=torch.long)]
    for group in idxs.unique():
        members = (idxs == group).nonzero().squeeze(1)
        dets, inds = suppress(boxes[members], scores[members], **cfg)
        kept_scores.append(dets[:, -1])
        keep.append(members[inds])
    kept_scores, order = torch.cat(kept_scores).sort(descending=True, stable=True)
    return kept_scores, torch.cat(keep)[order]


@_accepts_arrays
def nms_match(dets: Tensor, iou_threshold: float) -> list[Tensor]:
    """Hard suppression that tells which box suppressed which.

    Args:
        dets: (n, 5) xyxy and score.
        iou_threshold: an IoU of at least this suppresses.

    Returns:
        One index tensor for each kept box, best first: the kept one, then those it suppressed, best first.

    Raises:
        ValueError: ``dets`` is not (n, 5).
    """
    if dets.ndim != 2 or dets.size(1) != 5:
        raise ValueError(f'nms_match: expected dets (n, 5), got {tuple(dets.shape)}')
    on_cpu = dets.detach().float().cpu().numpy()
    left = np.argsort(-on_cpu[:, 4], kind='stable')
    corners, groups = on_cpu[left, :4], []
    while len(left):
        overlaps = _iou_row(corners[0], corners) >= iou_threshold
        overlaps[0] = True
        groups.append(left[overlaps])
        left, corners = left[~overlaps], corners[~overlaps]
    if not groups:
        return []
    # one copy to the device for all groups
    together = torch.from_numpy(np.concatenate(groups)).to(dets.device)
    return list(together.split([len(group) for group in groups]))
