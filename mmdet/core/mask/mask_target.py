"""Targets of mask heads."""

import torch
from torch import Tensor
from torch.nn.modules.utils import _pair

from mmdet.core.mask.base import BaseInstanceMasks
from mmdet.utils.running.device_copy import tensor_like


def mask_target(
    pos_proposals_list: list[Tensor],
    pos_assigned_gt_inds_list: list[Tensor],
    gt_masks_list: list[BaseInstanceMasks],
    cfg: dict,
) -> Tensor:
    """Masks of the objects of a batch inside the boxes that are assigned to them.

    Args:
        pos_proposals_list: for each image (p, 4) positive boxes, xyxy px of the network's input.
        pos_assigned_gt_inds_list: for each image (p,) the number of the object that each box belongs to.
        gt_masks_list: for each image the masks of its objects.
        cfg: ``mask_size``, an int or (h, w); ``soft_mask_target`` (False): keep values between 0 and 1.

    Returns:
        (all p, h, w) float32, on the device of the boxes; images one behind the other.
    """
    targets = [
        mask_target_single(boxes, inds, masks, cfg)
        for boxes, inds, masks in zip(pos_proposals_list, pos_assigned_gt_inds_list, gt_masks_list)
    ]
    return torch.cat(targets) if targets else torch.zeros((0, *_pair(cfg['mask_size'])))


def mask_target_single(
    pos_proposals: Tensor, pos_assigned_gt_inds: Tensor, gt_masks: BaseInstanceMasks, cfg: dict
) -> Tensor:
    """:func:`mask_target` for one image: (p, 4), (p,) -> (p, h, w)."""
    mask_size = _pair(cfg['mask_size'])
    if len(pos_proposals) == 0:
        return pos_proposals.new_zeros((0, *mask_size))
    limits = tensor_like([gt_masks.width, gt_masks.height] * 2, pos_proposals)
    boxes = torch.minimum(pos_proposals.detach().clamp(min=0), limits)
    return gt_masks.crop_and_resize_tensor(
        boxes,
        mask_size,
        inds=pos_assigned_gt_inds,
        device=pos_proposals.device,
        binarize=not cfg.get('soft_mask_target', False),
    )
