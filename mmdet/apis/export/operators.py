"""What is recorded in a graph in the place of functions that look at numbers on the host.

The heads' own code is traced; only these functions have another form, in operators that a graph can hold. The operator
``mmdet::nms_of_groups`` runs :func:`mmdet.ops.batched_nms`, so that a traced program run by torch gives what the
detector gives; :mod:`mmdet.apis.export.translations` has its form in ONNX.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torchvision.ops
from torch import Tensor, nn
from torch.nn.modules.utils import _pair

from mmdet.core.utils.misc import filter_scores_and_topk
from mmdet.models.dense_heads.functional.decoding import best_rows
from mmdet.ops import batched_nms, nms, read_at_points, roi_align
from mmdet.ops.roi import pool_from_levels
from mmdet.utils.running.device_copy import to_device
from mmdet.utils.running.replaceable import as_written

SCHEMA = (
    'nms_of_groups(Tensor boxes, Tensor scores, Tensor groups, float iou_threshold, int offset, float least) -> Tensor'
)


def _nms_of_groups(
    boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float, offset: int, least: float
) -> Tensor:
    """(k,) indices of the boxes (n, 4) that suppression within groups (n,) keeps, best first."""
    settings = dict(type='nms', iou_threshold=iou_threshold, offset=offset, score_threshold=least)
    with as_written():
        return batched_nms(boxes, scores, groups, settings)[1]


def _number_unknown(
    boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float, offset: int, least: float
) -> Tensor:
    return boxes.new_empty(torch.library.get_ctx().new_dynamic_size(), dtype=torch.long)


if not hasattr(torch.ops.mmdet, 'nms_of_groups'):  # a process has it once, however often this file is read
    _library = torch.library.Library('mmdet', 'FRAGMENT')
    _library.define(SCHEMA)
    _library.impl('nms_of_groups', _nms_of_groups, 'CompositeExplicitAutograd')
    if hasattr(torch.library, 'register_fake'):  # torch 2.4; older ones export nothing, see onnx_file.py
        torch.library.register_fake('mmdet::nms_of_groups', _number_unknown, lib=_library)


def batched_nms_in_graph(
    boxes: Tensor, scores: Tensor, idxs: Tensor, nms_cfg: Mapping[str, Any] | None, class_agnostic: bool = False
) -> tuple[Tensor, Tensor]:
    """As :func:`mmdet.ops.batched_nms`, of hard suppression alone."""
    if nms_cfg is None:
        scores, keep = scores.sort(descending=True)
        return torch.cat([boxes[keep], scores[:, None]], dim=1), keep
    cfg = dict(nms_cfg)
    groups = torch.zeros_like(idxs) if cfg.get('class_agnostic', class_agnostic) else idxs
    threshold: Any = cfg.get('iou_threshold', cfg.get('iou_thr'))
    keep = torch.ops.mmdet.nms_of_groups(
        boxes, scores, groups, float(threshold), cfg.get('offset', 0), float(cfg.get('score_threshold', 0))
    )
    keep = keep[: cfg['max_num']] if cfg.get('max_num', -1) > 0 else keep
    return torch.cat([boxes[keep], scores[keep, None]], dim=1), keep


def nms_in_graph(
    boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0, score_threshold: float = 0, max_num: int = -1
) -> tuple[Tensor, Tensor]:
    """As :func:`mmdet.ops.nms`."""
    cfg = dict(iou_threshold=iou_threshold, offset=offset, score_threshold=score_threshold, max_num=max_num)
    return batched_nms_in_graph(boxes, scores, torch.zeros_like(scores, dtype=torch.long), cfg)


def best_in_graph(
    scores: Tensor, score_thr: float, topk: int, results: Any = None
) -> tuple[Tensor, Tensor, Tensor, Any]:
    """As :func:`mmdet.core.utils.misc.filter_scores_and_topk`, without the faster way of large inputs."""
    flat = scores.flatten()
    places = (flat > score_thr).nonzero().squeeze(1)
    picked, order = flat[places].sort(descending=True)
    picked, chosen = picked[:topk], places[order[:topk]]
    keep = chosen.div(scores.size(1), rounding_mode='floor')
    if isinstance(results, Mapping):
        taken: Any = {name: value[keep] for name, value in results.items()}
    elif isinstance(results, list):
        taken = [value[keep] for value in results]
    else:
        taken = None if results is None else results[keep]
    return picked, chosen % scores.size(1), keep, taken


def best_rows_in_graph(values: Tensor, limit: int) -> Tensor | slice:
    """As :func:`mmdet.models.dense_heads.functional.decoding.best_rows`; always best first."""
    return values.sort(descending=True).indices[:limit] if limit > 0 else slice(None)


def numbers_in_graph(values: Any, dtype: torch.dtype, device: torch.device) -> Tensor:
    """As :func:`mmdet.utils.running.device_copy.to_device`; sizes of the input stay variables of the graph."""
    if isinstance(values, list | tuple):
        return torch.stack([numbers_in_graph(value, dtype, device) for value in values])
    if isinstance(values, torch.SymInt | torch.SymFloat | int | float):
        return torch.scalar_tensor(values, dtype=dtype, device=device)
    return torch.as_tensor(values, dtype=dtype, device=device)


def roi_align_in_graph(
    input: Tensor,
    rois: Tensor,
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    pool_mode: str = 'avg',
    aligned: bool = True,
) -> Tensor:
    """As :func:`mmdet.ops.roi_align`, always by torchvision's operator.

    Raises:
        NotImplementedError: ``pool_mode`` is 'max'.
    """
    if pool_mode != 'avg':
        raise NotImplementedError(f'RoIAlign with pool_mode={pool_mode!r} has no form in a graph; accepted: avg')
    return torchvision.ops.roi_align(input, rois, _pair(output_size), spatial_scale, max(sampling_ratio, 0), aligned)


def pool_in_graph(
    layers: Sequence[nn.Module], feats: Sequence[Tensor], rois: Tensor, levels: Tensor, static_shapes: bool = False
) -> Tensor:
    """As :func:`mmdet.ops.roi.pool_from_levels`, level by level."""
    rows = [(levels == level).nonzero().squeeze(1) for level in range(len(feats))]
    pooled = [layer(feat, rois[of_level]) for layer, feat, of_level in zip(layers, feats, rows)]
    return torch.cat(pooled)[torch.cat(rows).argsort()]


def read_in_graph(
    maps: Tensor, images: Tensor, points: Tensor, spatial_scale: float = 1.0, align_corners: bool = False
) -> Tensor:
    """As :func:`mmdet.ops.read_at_points`, for any number of images: each point takes the cells around it."""
    height, width = maps.shape[-2:]
    cells = maps.permute(0, 2, 3, 1).flatten(0, 2)  # (N, C, H, W) -> (N * H * W, C)
    x, y = (points * spatial_scale).unbind(2)
    x, y = (x * (width - 1) / width, y * (height - 1) / height) if align_corners else (x - 0.5, y - 0.5)
    left, top = x.floor(), y.floor()
    total: Any = 0
    for row, row_share in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, column_share in ((left, 1 - (x - left)), (left + 1, x - left)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            clamped = row.long().clamp(min=0).minimum(height - 1 + torch.zeros_like(row, dtype=torch.long))
            across = column.long().clamp(min=0).minimum(width - 1 + torch.zeros_like(row, dtype=torch.long))
            places = (images[:, None] * height + clamped) * width + across
            total = total + cells[places] * (inside * row_share * column_share)[..., None]
    return total.transpose(1, 2)  # (n, P, C) -> (n, C, P)


IN_GRAPH: dict[Callable[..., Any], Callable[..., Any]] = {
    batched_nms: batched_nms_in_graph,
    best_rows: best_rows_in_graph,
    filter_scores_and_topk: best_in_graph,
    nms: nms_in_graph,
    pool_from_levels: pool_in_graph,
    read_at_points: read_in_graph,
    roi_align: roi_align_in_graph,
    to_device: numbers_in_graph,
}

__all__ = ['IN_GRAPH']
