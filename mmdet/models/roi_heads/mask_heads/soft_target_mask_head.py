"""A mask head that learns from soft targets, as torchvision's does."""

from typing import Any

import torch
from torch import Tensor

from mmdet.models.builder import HEADS
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import FCNMaskHead
from mmdet.ops import roi_align


def soft_mask_targets(masks: Tensor, boxes: Tensor, gt_inds: Tensor, size: tuple[int, int]) -> Tensor:
    """Share of each cell of each box that its object covers.

    Args:
        masks: (G, H, W) in {0, 1}.
        boxes: (n, 4) xyxy px.
        gt_inds: (n,) number of each box's object.
        size: height and width of the targets in cells.

    Returns:
        (n, *size) in [0, 1].
    """
    if not len(boxes):
        return boxes.new_zeros(0, *size)
    rois = torch.cat([gt_inds[:, None].to(boxes), boxes], dim=1)
    return roi_align(masks[:, None].to(boxes), rois, size, 1.0, 0, 'avg', False)[:, 0]


@HEADS.register_module()
class SoftTargetFCNMaskHead(FCNMaskHead):
    """:class:`FCNMaskHead` whose targets are fractions in [0, 1], pooled half a pixel aside, as in torchvision.

    The others' targets are these pooled in place and set to 0 or 1 at one half.
    """

    def get_targets(self, sampling_results: list[Any], gt_masks: list[Any], rcnn_train_cfg: Any) -> Tensor:
        """(n, mask_size, mask_size) targets of the positives of N images."""
        size = rcnn_train_cfg.mask_size
        size = (size, size) if isinstance(size, int) else tuple(size)
        targets = []
        for res, masks in zip(sampling_results, gt_masks):
            bitmaps = masks.to_tensor(dtype=torch.float32, device=res.pos_bboxes.device)
            targets.append(soft_mask_targets(bitmaps, res.pos_bboxes, res.pos_assigned_gt_inds, size))
        return torch.cat(targets)
