"""From the rows of an image's levels to boxes."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdet.core.post_processing.bbox_nms import multiclass_nms
from mmdet.utils.running.device_copy import tensor_like


def best_boxes(
    levels: Iterable[Sequence[Tensor]], coder: Any, limit: int, img_shape: Sequence[int]
) -> tuple[Tensor, ...]:
    """Scores (n, C), boxes (n, 4) and further values of one image, the best ``limit`` rows of each level.

    Args:
        levels: L times scores (k, C), deltas (k, 4), anchors (k, 4), and further values (k, ...) if there are any.
        coder: between anchors and boxes.
        limit: most rows of a level, by their greatest scores; not positive: all.
        img_shape: height and width that bound the boxes, pixels.
    """
    kept = []
    for level in levels:
        if 0 < limit < len(level[0]):
            best = level[0].amax(dim=1).topk(limit).indices
            level = [rows[best] for rows in level]
        scores, deltas, anchors, *further = level
        kept.append((scores, coder.decode(anchors, deltas, max_shape=img_shape), *further))
    return tuple(map(torch.cat, zip(*kept)))


def suppressed(boxes: Tensor, scores: Tensor, scale_factor: Any, cfg: Any, rescale: bool) -> tuple[Tensor, ...]:
    """Detections of one image: boxes with scores (k, 5), labels (k,).

    Args:
        boxes: (n, 4) pixels of the network's input.
        scores: (n, K) in [0, 1].
        scale_factor: network input / original image, for x1, y1, x2, y2.
        cfg: keys ``score_thr``, ``nms`` and ``max_per_img``.
        rescale: give boxes in pixels of the original image.
    """
    if rescale:
        boxes = boxes / tensor_like(scale_factor, boxes)
    return multiclass_nms(boxes, with_background(scores), cfg.score_thr, cfg.nms, cfg.max_per_img)


def with_background(scores: Tensor) -> Tensor:
    """Scores (n, K) -> (n, K + 1): what suppresses class by class leaves out a last column."""
    return F.pad(scores, (0, 1))


def detections_of_objects(
    boxes: Tensor, objectness: Tensor, scores: Tensor, cfg: Any, with_nms: bool
) -> tuple[Tensor, ...]:
    """Detections of one image whose class scores hold where there is an object.

    Args:
        boxes: (n, 4).
        objectness: (n,) in [0, 1].
        scores: (n, K) in [0, 1].
        cfg: keys ``score_thr``, of the class scores alone, ``nms`` and ``max_per_img``.
        with_nms: False gives what would enter the suppression: boxes (n', 4), scores (n',), labels (n',).

    Returns:
        boxes with scores (k, 5), labels (k,).
    """
    if with_nms:
        padded = with_background(scores)
        return multiclass_nms(boxes, padded, cfg.score_thr, cfg.nms, cfg.max_per_img, score_factors=objectness)
    kept, labels = (scores > cfg.score_thr).nonzero(as_tuple=True)
    return boxes[kept], scores[kept, labels] * objectness[kept], labels
