"""Merging what a detector found in several transformed copies of an image."""

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, overload

import numpy as np
import torch
from mmcv import ConfigDict
from torch import Tensor

from mmdet.core.bbox.transforms import bbox_mapping_back
from mmdet.ops.nms import nms
from mmdet.utils.running.device_copy import tensor_like


def _proposal_cfg(cfg: Mapping) -> ConfigDict:
    """A copy with today's keys: ``max_per_img`` and ``nms.iou_threshold`` for ``max_num`` and ``nms_thr``.

    Raises:
        ValueError: an old key is there beside the new one, with another value.
    """
    todays = ConfigDict(copy.deepcopy(dict(cfg)))
    todays.setdefault('nms', ConfigDict(type='nms'))
    for old, holder, new in (('max_num', todays, 'max_per_img'), ('nms_thr', todays.nms, 'iou_threshold')):
        if old not in todays:
            continue
        value = todays.pop(old)
        warnings.warn(f'{old} of a proposal config is deprecated; use {new}', DeprecationWarning, stacklevel=3)
        if holder.setdefault(new, value) != value:
            raise ValueError(f'proposal config: {old}={value} contradicts {new}={holder[new]}; keep {new}')
    return todays


def _map_back(boxes: Tensor, img_meta: Mapping) -> Tensor:
    return bbox_mapping_back(
        boxes,
        img_meta['img_shape'],
        img_meta['scale_factor'],
        img_meta['flip'],
        img_meta['flip_direction'],
    )


def merge_aug_proposals(aug_proposals: Sequence[Tensor], img_metas: Sequence[Mapping], cfg: Mapping) -> Tensor:
    """Proposals of all copies of one image, in the frame of the original image, suppressed together.

    Args:
        aug_proposals: (n, 5) boxes and scores of each copy, in the frame of that copy.
        img_metas: meta information of each copy.
        cfg: ``nms`` (with ``iou_threshold``) and ``max_per_img``; their old names work too.

    Returns:
        (k, 5), best first.

    Raises:
        ValueError: old and new names contradict each other.
    """
    todays = _proposal_cfg(cfg)
    boxes = torch.cat([_map_back(props[:, :4], meta) for props, meta in zip(aug_proposals, img_metas)])
    scores = torch.cat([props[:, 4] for props in aug_proposals])
    dets, _ = nms(boxes.contiguous(), scores.contiguous(), todays.nms.iou_threshold)
    _, best = dets[:, 4].sort(descending=True)
    return dets[best[: todays.max_per_img]]


@overload
def merge_aug_bboxes(
    aug_bboxes: Sequence[Tensor],
    aug_scores: None,
    img_metas: Sequence[Sequence[Mapping]],
    rcnn_test_cfg: Mapping | None,
) -> Tensor: ...


@overload
def merge_aug_bboxes(
    aug_bboxes: Sequence[Tensor],
    aug_scores: Sequence[Tensor],
    img_metas: Sequence[Sequence[Mapping]],
    rcnn_test_cfg: Mapping | None,
) -> tuple[Tensor, Tensor]: ...


def merge_aug_bboxes(
    aug_bboxes: Sequence[Tensor],
    aug_scores: Sequence[Tensor] | None,
    img_metas: Sequence[Sequence[Mapping]],
    rcnn_test_cfg: Mapping | None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Mean of the boxes, and of the scores, over the copies of one image; all copies have the same RoIs.

    Args:
        aug_bboxes: (n, 4 * C) of each copy, in the frame of that copy.
        aug_scores: (n, C + 1) of each copy, or None.
        img_metas: a list with the one image's meta information, of each copy.
        rcnn_test_cfg: not used.

    Returns:
        Boxes (n, 4 * C) in the frame of the original image, and scores (n, C + 1) where given.
    """
    # in one frame first: the mean of a box and its mirror image would lie in the middle of the image
    boxes = torch.stack([_map_back(boxes, metas[0]) for boxes, metas in zip(aug_bboxes, img_metas)]).mean(0)
    return boxes if aug_scores is None else (boxes, torch.stack(list(aug_scores)).mean(0))


def merge_aug_scores(aug_scores: Sequence[Tensor] | Sequence[np.ndarray]) -> Tensor | np.ndarray:
    """Mean of scores, tensors or arrays of one shape, over the copies."""
    tensors = [scores for scores in aug_scores if isinstance(scores, Tensor)]
    return torch.stack(tensors).mean(0) if tensors else np.mean(aug_scores, axis=0)


def merge_aug_masks(
    aug_masks: Sequence[np.ndarray | Tensor],
    img_metas: Any,
    rcnn_test_cfg: Mapping | None,
    weights: Sequence[float] | None = None,
) -> np.ndarray | Tensor:
    """Mean over the copies of mask probabilities (n, C, h, w), each flipped back as its copy was flipped.

    Args:
        aug_masks: arrays or tensors.
        img_metas: a list with the one image's meta information, of each copy.
        rcnn_test_cfg: not used.
        weights: one for each copy; default all equal.

    Raises:
        ValueError: an unknown direction of flip.
    """
    upright = [_flip_back(mask, metas[0]) for mask, metas in zip(aug_masks, img_metas)]
    tensors = [mask for mask in upright if isinstance(mask, Tensor)]
    if tensors:
        stacked = torch.stack(tensors)
        if weights is None:
            return stacked.mean(0)
        fractions = tensor_like(weights, stacked) / sum(weights)
        return (stacked * fractions.view(-1, *[1] * (stacked.ndim - 1))).sum(0)
    return np.average(np.stack(upright), axis=0, weights=weights)


_FLIP_AXES = {'horizontal': (-1,), 'vertical': (-2,), 'diagonal': (-1, -2)}


def _flip_back(mask: np.ndarray | Tensor, img_meta: Mapping) -> np.ndarray | Tensor:
    if not img_meta['flip']:
        return mask
    direction = img_meta.get('flip_direction') or 'horizontal'
    if direction not in _FLIP_AXES:
        raise ValueError(f'merge_aug_masks: flip_direction must be one of {list(_FLIP_AXES)}, got {direction!r}')
    axes = _FLIP_AXES[direction]
    return mask.flip(axes) if isinstance(mask, Tensor) else np.flip(mask, axes)
