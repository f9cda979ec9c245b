"""From the rows of an image's levels to boxes."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor


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
