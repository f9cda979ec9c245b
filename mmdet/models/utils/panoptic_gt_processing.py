"""Ground truth of panoptic segmentation as one list of masks."""

from typing import Any

import torch
from torch import Tensor

from mmdet.core.img_meta import ImgMeta


def preprocess_panoptic_gt(
    gt_labels: Tensor,
    gt_masks: Any,
    gt_semantic_seg: Tensor | None,
    num_things: int,
    num_stuff: int,
    img_metas: ImgMeta,
) -> tuple[Tensor, Tensor]:
    """Masks of one image's objects, and one of each class of stuff in it.

    Args:
        gt_labels: (n,) of the objects.
        gt_masks: mask structure of the n objects.
        gt_semantic_seg: (1, h, w) classes, at the padded size; None: objects only.
        num_things: number of classes of things T, labels ``[0, T)``.
        num_stuff: number of classes of stuff S, labels ``[T, T + S)``.
        img_metas: has ``pad_shape`` (h, w, ...).

    Returns:
        labels (n + m,) and masks (n + m, h, w) int64 of 0 and 1; the m classes of stuff in ascending order.
    """
    things = gt_masks.pad(img_metas['pad_shape'][:2], pad_val=0).to_tensor(torch.bool, gt_labels.device)
    if gt_semantic_seg is None:
        return gt_labels, things.long()
    classes = gt_semantic_seg.squeeze(0)
    present = classes.unique()
    stuff = present[(present >= num_things) & (present < num_things + num_stuff)]
    masks = torch.cat([things, classes == stuff[:, None, None]])
    return torch.cat([gt_labels, stuff.to(gt_labels)]), masks.long()
