"""What a detector found in an image, whatever form its results have, and what of it is annotated.

Legend: n detections, G annotated objects, K classes; boxes are xyxy px of the network's input, everything on the CPU.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmdet.core.bbox.iou_calculators.iou2d_calculator import bbox_overlaps
from mmdet.ops import batched_nms

SAME_OBJECT = 0.5  # IoU from which on a detection and an annotated object are one


class Detections(NamedTuple):
    """Of one image, best first."""

    boxes: Tensor  # (n, 4)
    scores: Tensor  # (n,) in [0, 1]
    labels: Tensor  # (n,) in [0, K)
    masks: list[np.ndarray] | None  # n times (h, w) bool; None: the detector predicts none

    def take(self, rows: Tensor) -> 'Detections':
        """Some of them; ``rows`` are their numbers, or a mask."""
        rows = rows.nonzero().squeeze(1) if rows.dtype == torch.bool else rows
        masks = None if self.masks is None else [self.masks[i] for i in rows.tolist()]
        return Detections(self.boxes[rows], self.scores[rows], self.labels[rows], masks)


class Annotated(NamedTuple):
    """The annotated objects of one image, and regions that are neither objects nor background."""

    boxes: Tensor  # (G, 4)
    labels: Tensor  # (G,)
    ignored: Tensor  # (k, 4)


class Match(NamedTuple):
    """Detections of an image against its annotated objects."""

    scores: Tensor  # (G,) best score of a detection of the object's class and place; 0: it was not found
    free: Tensor  # (n,) bool, on no annotated object and in no ignored region


@contextmanager
def limit_proposals(detector: Any, count: int | None) -> Iterator[None]:
    """Let the second stage of a detector look at ``count`` proposals of an image at most; None: as in tests."""
    head = getattr(detector, 'rpn_head', None)
    if count is None or head is None or head.test_cfg is None or getattr(detector, 'roi_head', None) is None:
        yield
        return
    given = head.test_cfg
    head.test_cfg = type(given)({**given, 'max_per_img': min(given['max_per_img'], count)})
    try:
        yield
    finally:
        head.test_cfg = given


def read_result(result: Any) -> Detections:
    """One image's result of a test: boxes, boxes and masks, proposals, or a panoptic dict with ``ins_results``.

    Boxes that are no boxes (a side below 1 px, numbers that are not finite) are left out: they could not be learnt.

    Raises:
        TypeError: another form.
    """
    masks = None
    if isinstance(result, dict) and 'ins_results' in result:
        result = result['ins_results']
    if isinstance(result, tuple):
        result, masks = result[:2]
        masks = masks[0] if isinstance(masks, tuple) else masks  # beside the scores of the masks
    if isinstance(result, np.ndarray):  # proposals
        result = [result]
    if not isinstance(result, (list, tuple)):
        raise TypeError(
            'teacher: expected detections of each class as the result of an image (of a panoptic detector as '
            f"'ins_results'), got {type(result).__name__}"
        )
    labels = np.repeat(np.arange(len(result)), [len(part) for part in result])
    rows = torch.from_numpy(np.concatenate([np.asarray(part, dtype=np.float32).reshape(-1, 5) for part in result]))
    flat = None if masks is None else [_bitmap(mask) for of_class in masks for mask in of_class]
    if flat is not None:
        rows = _boxes_of_masks(rows, flat)
    # stable, so that equal scores keep the order of the classes and runs on other machines agree
    order = rows[:, 4].argsort(descending=True, stable=True)
    usable = rows.isfinite().all(1) & (rows[:, 2:4] - rows[:, :2] >= 1).all(1)
    return Detections(rows[:, :4], rows[:, 4], torch.from_numpy(labels), flat).take(order[usable[order]])


def _boxes_of_masks(rows: Tensor, masks: list[np.ndarray]) -> Tensor:
    """(n, 5) in which detectors that give masks alone, with boxes of no size, have boxes around them."""
    rows = rows.clone()
    for i in (rows[:, 2:4] == rows[:, :2]).all(1).nonzero().squeeze(1).tolist():
        ys, xs = np.nonzero(masks[i])
        if len(ys):
            box = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
            rows[i, :4] = torch.tensor([float(value) for value in box])
    return rows


def _bitmap(mask: Any) -> np.ndarray:
    return mask.detach().cpu().numpy() if isinstance(mask, Tensor) else np.asarray(mask)


def match(found: Detections, annotated: Annotated, overlap: float = SAME_OBJECT) -> Match:
    """Find the annotated objects among the detections of an image.

    Args:
        found: the n detections.
        annotated: the G objects.
        overlap: IoU with an annotated object, of any class, from which on a detection is not free; also the fraction of
            it that may lie in an ignored region.
    """
    if not len(found.boxes):
        return Match(torch.zeros(len(annotated.boxes)), torch.zeros(0, dtype=torch.bool))
    free = torch.ones(len(found.boxes), dtype=torch.bool)
    if len(annotated.ignored):
        free &= bbox_overlaps(found.boxes, annotated.ignored, mode='iof').amax(1) < overlap
    if not len(annotated.boxes):
        return Match(torch.zeros(0), free)
    # on an annotated object, a detection of another class is a mistake of the class and no second object
    ious = bbox_overlaps(found.boxes, annotated.boxes)
    same = (ious >= SAME_OBJECT) & (found.labels[:, None] == annotated.labels)
    return Match((same * found.scores[:, None]).amax(0), free & (ious.amax(1) < overlap))


def without_duplicates(found: Detections, groups: Tensor, overlap: float) -> Detections:
    """Detections that overlap no better one of their group by more than that IoU; ``groups`` (n,) are numbers."""
    if not len(found.boxes):
        return found
    _, kept = batched_nms(found.boxes, found.scores, groups.long(), dict(type='nms', iou_threshold=overlap))
    return found.take(kept)
