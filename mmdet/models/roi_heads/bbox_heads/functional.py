"""The arithmetic of the box heads, without layers or settings. Boxes are xyxy px unless said otherwise."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import rows_of
from mmdet.utils.running.device_copy import tensor_like


def boxes_of_labels(bbox_pred: Tensor, labels: Tensor) -> Tensor:
    """(n, 4 K) class-wise values and (n,) labels in ``[0, K)`` -> (n, 4), those of each row's label."""
    columns = labels[:, None] * 4 + torch.arange(4, device=labels.device)
    return bbox_pred.gather(1, columns)


def unscale_boxes(boxes: Tensor, scale_factor: Any) -> Tensor:
    """(n, 4 K) px of the network input -> px of the original image; ``scale_factor``: number or (w, h, w, h)."""
    scale = tensor_like(scale_factor, boxes)
    return (boxes.unflatten(1, (boxes.size(1) // 4, 4)) / scale).flatten(1)


def refined_rows(rois: Tensor, pos_is_gts: Sequence[Tensor]) -> list[Tensor]:
    """For each of N images the rows of its RoIs that a next stage starts from: all but those that are ground truth.

    Args:
        rois: (n, 5), image index first; in each image the positives come first.
        pos_is_gts: for each image, 1 where a positive is a ground-truth box.

    Returns:
        N times (m_i,) long.
    """
    kept = []
    for i, is_gt in enumerate(pos_is_gts):
        of_image = rois[:, 0] == i
        place = (of_image.cumsum(0) - 1).clamp(min=0, max=len(is_gt))  # in the image; negatives come last
        kept.append(of_image & ~F.pad(is_gt != 0, (0, 1))[place])
    return rows_of(kept)
