"""Operators of torch as operators of ONNX, where the exporter has none: for its ``custom_translation_table``."""

from collections.abc import Callable
from typing import Any

import torch
import torchvision  # noqa: F401  (registers its operators)
from onnxscript import opset20 as op

LOWEST_SCORE = -3.0e38  # what is not of a group has -inf and takes no part


def nms_of_groups(boxes: Any, scores: Any, groups: Any, iou_threshold: float, offset: int, least: float) -> Any:
    """``mmdet::nms_of_groups`` by NonMaxSuppression with one class for each group, results best first."""
    first = op.Constant(value_ints=[0])
    if offset:
        boxes = op.Add(boxes, op.Constant(value_floats=[0.0, 0.0, float(offset), float(offset)]))
    last = op.ReduceMax(op.Concat(groups, first, axis=0), keepdims=0)  # 0 where there are no boxes
    one = op.Constant(value_int=1)
    names = op.Range(op.Constant(value_int=0), op.Add(last, one), one)
    member = op.Equal(op.Unsqueeze(names, op.Constant(value_ints=[1])), op.Unsqueeze(groups, first))
    by_group = op.Where(member, op.Unsqueeze(scores, first), op.Constant(value_float=float('-inf')))  # (G, n)
    chosen = op.NonMaxSuppression(
        op.Unsqueeze(boxes, first),
        op.Unsqueeze(by_group, first),
        op.Shape(groups),  # no limit for each group
        op.Constant(value_floats=[float(iou_threshold)]),
        op.Constant(value_floats=[float(least) if least > 0 else LOWEST_SCORE]),
    )
    rows = op.Gather(chosen, op.Constant(value_int=2), axis=1)
    kept_scores = op.Gather(scores, rows)
    _, order = op.TopK(kept_scores, op.Shape(kept_scores))
    return op.Gather(rows, order)


def deform_conv2d(
    input: Any,
    weight: Any,
    offset: Any,
    mask: Any,
    bias: Any,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    groups: int,
    offset_groups: int,
    use_mask: bool,
) -> Any:
    """``torchvision::deform_conv2d`` by DeformConv."""
    return op.DeformConv(
        input,
        weight,
        offset,
        bias,
        mask if use_mask else None,
        dilations=[dilation_h, dilation_w],
        group=groups,
        kernel_shape=list(weight.shape[2:]),
        offset_group=offset_groups,
        pads=[pad_h, pad_w, pad_h, pad_w],
        strides=[stride_h, stride_w],
    )


def translation_table() -> dict[Callable, Callable]:
    """What the exporter is given."""
    return {
        torch.ops.mmdet.nms_of_groups.default: nms_of_groups,
        torch.ops.torchvision.deform_conv2d.default: deform_conv2d,
    }


__all__ = ['translation_table']
