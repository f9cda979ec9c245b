"""Sampling with results of fixed shapes, for a whole batch at once.

A list of indices is as long as the numbers say, and a GPU must be waited for to know how long that is. Here a sample
has always the same number of rows, and masks tell which of them are there.

N images, R boxes of each, S rows of a sample, G objects of the image with most of them (at least 1), K classes.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmdet.core.bbox.samplers.custom_sampler import BasicSamplerWithIgnore
from mmdet.core.bbox.samplers.random_sampler import RandomSampler
from mmdet.core.directives import ignores_negatives


class FixedSample(NamedTuple):
    """Rows of each image: first positives, then negatives, then rows that are not there."""

    rows: Tensor  # (N, S) long in [0, R)
    positive: Tensor  # (N, S) bool
    present: Tensor  # (N, S) bool


class FixedTargets(NamedTuple):
    """What the rows of a sample, or all boxes, are to become; those that are not there weigh nothing."""

    labels: Tensor  # (N, S) long in [0, K], K background
    label_weights: Tensor  # (N, S)
    bbox_targets: Tensor  # (N, S, 4), zeros but for positives
    bbox_weights: Tensor  # (N, S, 4)


def draw_fixed(gt_inds: Tensor, sampler: RandomSampler) -> FixedSample:
    """Random positives and negatives of each image, as many as the sampler takes.

    Args:
        gt_inds: (N, R) long; > 0: positive, 0: negative, others take no part.
        sampler: S is its ``num``, or R where that is less.
    """
    num = min(sampler.num, gt_inds.size(1))
    luck = torch.rand(gt_inds.shape, device=gt_inds.device)
    pos_rows, positive = _luckiest(gt_inds > 0, luck, min(int(sampler.num * sampler.pos_fraction), num))
    num_pos = positive.sum(1, keepdim=True)
    most = sampler.num - num_pos
    if sampler.neg_pos_ub >= 0:
        most = torch.minimum(most, (num_pos.clamp(min=1) * sampler.neg_pos_ub).long())
    neg_rows, negative = _luckiest(gt_inds == 0, luck, num)
    negative &= torch.arange(num, device=luck.device) < most
    rows, present = torch.cat([pos_rows, neg_rows], 1), torch.cat([positive, negative], 1)
    positive = torch.cat([positive, torch.zeros_like(negative)], 1)
    order = present.byte().sort(dim=1, descending=True, stable=True).indices[:, :num]
    return FixedSample(*(part.gather(1, order) for part in (rows, positive, present)))


def _luckiest(taking_part: Tensor, luck: Tensor, num: int) -> tuple[Tensor, Tensor]:
    """(N, num) rows of greatest luck among those of the mask (N, R), and whether they are of the mask at all."""
    best = luck.masked_fill(~taking_part, -1).topk(num, dim=1)
    return best.indices, best.values >= 0


def take_all(gt_inds: Tensor) -> FixedSample:
    """All boxes as a sample, in their order; ``gt_inds`` as for :func:`draw_fixed`."""
    rows = torch.arange(gt_inds.size(1), device=gt_inds.device).expand_as(gt_inds)
    return FixedSample(rows, gt_inds > 0, gt_inds >= 0)


def believed_gt_inds(sampler: Any, gt_inds: Tensor, img_meta: dict) -> Tensor:
    """``gt_inds`` (n,) in which negatives take no part where sampler and image say so."""
    if isinstance(sampler, BasicSamplerWithIgnore) and ignores_negatives(img_meta):
        return gt_inds.masked_fill(gt_inds == 0, -1)
    return gt_inds


def pad_rows(tensors: Sequence[Tensor], value: float = 0) -> Tensor:
    """N times (n_i, ...) -> (N, n, ...), n >= 1, with ``value`` in the rows that are not there."""
    one_row = tensors[0].new_zeros(1, *tensors[0].shape[1:])
    return pad_sequence([*tensors, one_row], batch_first=True, padding_value=value)[:-1]


def take_rows(values: Tensor, rows: Tensor) -> Tensor:
    """(N, R, C) and rows (N, S) -> (N, S, C)."""
    return values.gather(1, rows[..., None].expand(-1, -1, values.size(2)))


def fixed_targets(
    sample: FixedSample, labels: Tensor, bbox_targets: Tensor, background: int, pos_weight: float
) -> FixedTargets:
    """Targets of a sample.

    Args:
        sample: N images, S rows of each.
        labels: (N, S); only those of positives count.
        bbox_targets: (N, S, 4); likewise, others may be infinite.
        background: label of all but positives.
        pos_weight: label weight of positives; that of negatives is 1, and <= 0 means 1 too.
    """
    positive = sample.positive
    return FixedTargets(
        torch.where(positive, labels, background),
        torch.where(positive, pos_weight if pos_weight > 0 else 1.0, sample.present.to(bbox_targets)),
        torch.where(positive[..., None], bbox_targets, 0.0),
        positive[..., None].expand_as(bbox_targets).to(bbox_targets),
    )


def matched_targets(
    sample: FixedSample,
    gt_inds: Tensor,
    boxes: Tensor,
    gt_bboxes: Sequence[Tensor],
    gt_labels: Sequence[Tensor] | None,
    head: Any,
    pos_weight: float,
) -> FixedTargets:
    """Targets of a sample of boxes (N, R, 4) with the objects' numbers (N, R).

    Args:
        sample, gt_inds, boxes: of N images.
        gt_bboxes: N times (G_i, 4).
        gt_labels: N times (G_i,); None: all objects are of class 0.
        head: has ``bbox_coder``, ``reg_decoded_bbox`` and ``num_classes``.
        pos_weight: see :func:`fixed_targets`.
    """
    of_row = (gt_inds.gather(1, sample.rows) - 1).clamp(min=0)
    wanted = take_rows(pad_rows(gt_bboxes), of_row)
    labels = torch.zeros_like(of_row) if gt_labels is None else pad_rows(gt_labels).gather(1, of_row)
    if not head.reg_decoded_bbox:
        wanted = head.bbox_coder.encode(take_rows(boxes, sample.rows), wanted)
    return fixed_targets(sample, labels, wanted, head.num_classes, pos_weight)


def weigh_images(head: Any, targets: FixedTargets, img_metas: Sequence[dict], overlaps: Tensor) -> FixedTargets:
    """Targets weighed as the images' directives say, for a head that heeds them (it has ``weigh_rows``).

    Args:
        head: of the targets.
        targets: of N images.
        img_metas: meta information of the N images.
        overlaps: (N, S) greatest overlap of each box with an object.
    """
    if not hasattr(head, 'weigh_rows'):
        return targets
    negative = targets.labels == head.num_classes
    rows = zip(targets.label_weights, targets.bbox_weights, negative, img_metas, overlaps)
    label_weights, bbox_weights = (torch.stack(part) for part in zip(*(head.weigh_rows(*image) for image in rows)))
    return targets._replace(label_weights=label_weights, bbox_weights=bbox_weights)


def spread(sample: FixedSample, targets: FixedTargets, num_rows: int, background: int) -> FixedTargets:
    """Targets of a sample's rows (N, S, ...) as those of all R boxes (N, R, ...), in their order."""
    rows = torch.where(sample.present, sample.rows, num_rows)  # a row behind the last takes what is not there

    def put(values: Tensor, others: float) -> Tensor:
        out = values.new_full((len(values), num_rows + 1, *values.shape[2:]), others)
        places = rows if values.ndim == 2 else rows[..., None].expand_as(values)
        return out.scatter_(1, places, values)[:, :num_rows]

    return FixedTargets(*(put(part, other) for part, other in zip(targets, (background, 0, 0, 0))))


__all__ = [
    'FixedSample',
    'FixedTargets',
    'believed_gt_inds',
    'draw_fixed',
    'fixed_targets',
    'matched_targets',
    'pad_rows',
    'spread',
    'take_all',
    'take_rows',
    'weigh_images',
]
