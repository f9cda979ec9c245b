"""Boxes of points with strides, as YOLOX predicts them, and the targets of such points."""

from typing import NamedTuple

import torch
from torch import Tensor

from mmdet.core.bbox.transforms import bbox_xyxy_to_cxcywh
from mmdet.core.targets import Targets


class YOLOXTargets(NamedTuple):
    """Targets of N images with R points each."""

    rows: Targets  # labels (N, R) in [0, K], K for negatives; matched boxes (N, R, 4)
    overlaps: Tensor  # (N, R) IoU of the prediction with the matched box; only those of positives count


def decode_boxes(priors: Tensor, bbox_preds: Tensor) -> Tensor:
    """(..., R, 4) boxes of predictions (..., R, 4): centres from the points, in strides, and logarithms of the sizes.

    ``priors`` (R, 4) are x, y, stride x, stride y in pixels.
    """
    centres = bbox_preds[..., :2] * priors[:, 2:] + priors[:, :2]
    half = bbox_preds[..., 2:].exp() * priors[:, 2:] / 2
    return torch.cat([centres - half, centres + half], dim=-1)


def encode_boxes(priors: Tensor, boxes: Tensor, eps: float = 1e-8) -> Tensor:
    """(P, 4) predictions that :func:`decode_boxes` makes ``boxes`` (P, 4) of; ``priors`` (P, 4)."""
    cxcywh = bbox_xyxy_to_cxcywh(boxes)
    # in strides of each point's own level, so that all levels learn numbers of one size
    centres = (cxcywh[:, :2] - priors[:, :2]) / priors[:, 2:]
    return torch.cat([centres, (cxcywh[:, 2:] / priors[:, 2:] + eps).log()], dim=1)


def centres_of_cells(priors: Tensor) -> Tensor:
    """Points (R, 4) at the upper left of their cells, with strides, moved to the middle."""
    return torch.cat([priors[:, :2] + priors[:, 2:] / 2, priors[:, 2:]], dim=1)
