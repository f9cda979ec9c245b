"""Samples whose shapes do not depend on the data, for a whole batch at once.

A list of indices is as long as the data say, and the host has to wait for a GPU to know how long that is. Here a sample
always has the same number of rows, and masks tell which of them are valid.

N images, R boxes of each, S rows of a sample, G objects of the image with most of them (at least 1), K classes.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmdet.core.bbox.samplers.random_sampler import RandomSampler
from mmdet.core.targets import Targets, masked_targets


class BoxCoding(Protocol):
    """How a head codes its boxes."""

    bbox_coder: Any
    reg_decoded_bbox: bool
    num_classes: int


class MaskSample(NamedTuple):
    """Rows of each image: first positives, then negatives, then rows that only fill the sample up."""

    rows: Tensor  # (N, S) long in [0, R)
    positive: Tensor  # (N, S) bool
    valid: Tensor  # (N, S) bool, positives and negatives


def draw_sample(gt_inds: Tensor, sampler: RandomSampler) -> MaskSample:
    """Random positives and negatives of each image, as many as the sampler takes.

    Args:
        gt_inds: (N, R) long; > 0: positive, 0: negative, others take no part.
        sampler: S is its ``num``, or R where that is less.
    """
    num = min(sampler.num, gt_inds.size(1))
    # one draw for both kinds: no box is a candidate of both
    priority = torch.rand(gt_inds.shape, device=gt_inds.device)
    pos_rows, positive = random_topk(gt_inds > 0, priority, min(int(sampler.num * sampler.pos_fraction), num))
    num_pos = positive.sum(1, keepdim=True)
    most = sampler.num - num_pos
    if sampler.neg_pos_ub >= 0:
        most = torch.minimum(most, (num_pos.clamp(min=1) * sampler.neg_pos_ub).long())
    neg_rows, negative = random_topk(gt_inds == 0, priority, num)
    negative &= torch.arange(num, device=priority.device) < most
    rows, valid = torch.cat([pos_rows, neg_rows], 1), torch.cat([positive, negative], 1)
    positive = torch.cat([positive, torch.zeros_like(negative)], 1)
    # what only fills up goes behind; the sort is stable, so that positives stay before negatives
    order = valid.byte().sort(dim=1, descending=True, stable=True).indices[:, :num]
    return MaskSample(*(part.gather(1, order) for part in (rows, positive, valid)))


def random_topk(candidates: Tensor, priority: Tensor, num: int) -> tuple[Tensor, Tensor]:
    """``num`` rows of each image that have the greatest random priority among its candidates.

    Args:
        candidates: (N, R) bool.
        priority: (N, R) in [0, 1).

    Returns:
        (N, num) rows, and (N, num) bool, whether they are candidates at all.
    """
    best = priority.masked_fill(~candidates, -1).topk(num, dim=1)
    return best.indices, best.values >= 0


def take_all(gt_inds: Tensor) -> MaskSample:
    """All boxes as a sample, in their order; ``gt_inds`` as for :func:`draw_sample`."""
    rows = torch.arange(gt_inds.size(1), device=gt_inds.device).expand_as(gt_inds)
    return MaskSample(rows, gt_inds > 0, gt_inds >= 0)


def pad_rows(tensors: Sequence[Tensor], value: float = 0) -> Tensor:
    """N times (n_i, ...) -> (N, n, ...), n >= 1, with ``value`` in the rows that fill up."""
    # a further entry of one row sees to n >= 1, so that an image without objects has a row to look up
    one_row = tensors[0].new_zeros(1, *tensors[0].shape[1:])
    return pad_sequence([*tensors, one_row], batch_first=True, padding_value=value)[:-1]


def take_rows(values: Tensor, rows: Tensor) -> Tensor:
    """(N, R, C) and rows (N, S) -> (N, S, C)."""
    return values.gather(1, rows[..., None].expand(-1, -1, values.size(2)))


def matched_targets(
    sample: MaskSample,
    gt_inds: Tensor,
    boxes: Tensor,
    gt_bboxes: Sequence[Tensor],
    gt_labels: Sequence[Tensor] | None,
    head: BoxCoding,
    pos_weight: float,
) -> Targets:
    """Targets (N, S, ...) of a sample of boxes (N, R, 4) with the objects' numbers (N, R).

    Args:
        sample, gt_inds, boxes: of N images.
        gt_bboxes: N times (G_i, 4).
        gt_labels: N times (G_i,); None: all objects are of class 0.
        head: whose coder and classes count.
        pos_weight: label weight of positives; <= 0 means 1.
    """
    of_row = (gt_inds.gather(1, sample.rows) - 1).clamp(min=0)  # negatives look up an object that is masked below
    targets = take_rows(pad_rows(gt_bboxes), of_row)
    labels = torch.zeros_like(of_row) if gt_labels is None else pad_rows(gt_labels).gather(1, of_row)
    if not head.reg_decoded_bbox:
        targets = head.bbox_coder.encode(take_rows(boxes, sample.rows), targets)
    return masked_targets(sample.positive, sample.valid, labels, targets, head.num_classes, pos_weight)


def unmap_sample(sample: MaskSample, targets: Targets, num_rows: int, background: int) -> Targets:
    """Targets of a sample's rows (N, S, ...) as those of all R boxes (N, R, ...), in their order."""
    rows = torch.where(sample.valid, sample.rows, num_rows)  # a row behind the last takes what only fills up

    def put(values: Tensor, others: float) -> Tensor:
        out = values.new_full((len(values), num_rows + 1, *values.shape[2:]), others)
        places = rows if values.ndim == 2 else rows[..., None].expand_as(values)
        return out.scatter_(1, places, values)[:, :num_rows]

    return Targets(*(put(part, other) for part, other in zip(targets, (background, 0, 0, 0))))
