"""Helpers that mmdetection 2.x had for its exporter; they compute what their names say, and can be traced."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmdet.core.bbox.transforms import clip_boxes
from mmdet.ops import batched_nms


def dynamic_clip_for_onnx(
    x1: Tensor, y1: Tensor, x2: Tensor, y2: Tensor, max_shape: Sequence[int] | Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Coordinates of boxes, of any one shape, clipped to an image of ``max_shape`` (h, w) px."""
    boxes = clip_boxes(torch.stack([x1, y1, x2, y2], dim=-1), max_shape)
    return boxes[..., 0], boxes[..., 1], boxes[..., 2], boxes[..., 3]


def get_k_for_topk(k: int, size: int) -> int:
    """How many of ``size`` values ``topk`` is to give: ``k`` at most, all of them where ``k`` is not positive."""
    return min(k, size) if k > 0 else size


def add_dummy_nms_for_onnx(
    boxes: Tensor,
    scores: Tensor,
    max_output_boxes_per_class: int = 1000,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.05,
    pre_top_k: int = -1,
    after_top_k: int = -1,
    labels: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Suppression within each class of each image.

    Args:
        boxes: (N, n, 4) xyxy.
        scores: (N, n, K).
        max_output_boxes_per_class: keep so many of each class at most.
        iou_threshold: an IoU greater than this suppresses.
        score_threshold: a pair of box and class takes part if its score is greater.
        pre_top_k: so many boxes of each image, those with the best scores, take part; not positive: all.
        after_top_k: keep so many of each image; not positive: all.
        labels: (N, n) classes of the boxes in the results; None: those whose score it is.

    Returns:
        boxes with scores (N, k, 5), best first, labels (N, k); rows that only fill up are zeros with the label -1.
    """
    images = []
    for i, (of_image, of_classes) in enumerate(zip(boxes, scores)):
        chosen = of_classes.max(1).values.topk(get_k_for_topk(pre_top_k, of_classes.size(0))).indices
        rows, classes = (of_classes[chosen] > score_threshold).nonzero(as_tuple=True)
        rows = chosen[rows]
        dets, keep = batched_nms(of_image[rows], of_classes[rows, classes], classes, dict(iou_threshold=iou_threshold))
        first = _first_of_class(classes[keep], max_output_boxes_per_class)
        dets, keep = dets[first], keep[first]
        images.append((dets, classes[keep] if labels is None else labels[i][rows[keep]]))
    most = after_top_k if after_top_k > 0 else max((dets.size(0) for dets, _ in images), default=0)
    return (
        torch.stack([_filled(dets, most, 0) for dets, _ in images]),
        torch.stack([_filled(of_image, most, -1) for _, of_image in images]),
    )


def _first_of_class(classes: Tensor, most: int) -> Tensor:
    """(n,) bool: the first ``most`` rows of each class."""
    same = classes[:, None] == classes[None]
    return same.tril(diagonal=-1).sum(1) < most


def _filled(rows: Tensor, most: int, value: float) -> Tensor:
    return torch.cat([rows, rows.new_full((most, *rows.shape[1:]), value)])[:most]


class DummyONNXNMSop(torch.autograd.Function):
    """Not offered: 2.x put it into graphs in the place of a suppression.

    Raises:
        NotImplementedError: when it is applied.
    """

    @staticmethod
    def forward(
        ctx: Any,
        boxes: Tensor,
        scores: Tensor,
        max_output_boxes_per_class: Tensor,
        iou_threshold: Tensor,
        score_threshold: Tensor,
    ) -> None:
        """See the class."""
        raise NotImplementedError('DummyONNXNMSop is not there: call batched_nms, which mmdet.apis.export translates')

    @staticmethod
    def symbolic(
        g: Any,
        boxes: Any,
        scores: Any,
        max_output_boxes_per_class: Any,
        iou_threshold: Any,
        score_threshold: Any,
        outputs: int = 1,
    ) -> None:
        """See the class."""
        DummyONNXNMSop.forward(g, boxes, scores, max_output_boxes_per_class, iou_threshold, score_threshold)


__all__ = ['add_dummy_nms_for_onnx', 'dynamic_clip_for_onnx', 'get_k_for_topk']
