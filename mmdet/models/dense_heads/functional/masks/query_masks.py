"""Arithmetic of the heads whose queries predict masks."""

from collections.abc import Sequence
from typing import Any, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor


def resize_masks(masks: Tensor, size_hw: Sequence[int], mode: str) -> Tensor:
    """Masks (n, h, w) -> (n, H, W) of their type, floating or whole; n may be 0.

    Args:
        masks: logits, or 0 and 1.
        size_hw: H and W.
        mode: ``'bilinear'`` or ``'nearest'``.
    """
    size = tuple(size_hw)
    if tuple(masks.shape[-2:]) == size:
        return masks
    pixels = masks[:, None] if masks.is_floating_point() else masks[:, None].float()
    return F.interpolate(pixels, size=size, mode=mode)[:, 0].to(masks.dtype)


@torch.no_grad()
def greatest_mask_overlaps(mask_preds: Tensor, gt_masks: Tensor) -> Tensor:
    """The greatest IoU of each predicted mask with an object.

    Args:
        mask_preds: (Q, h, w) logits; a pixel above 0 is inside.
        gt_masks: (G, H, W) 0 and 1, of any size.

    Returns:
        (Q,) in [0, 1]; 0 where G is 0.
    """
    if not len(gt_masks):
        return mask_preds.new_zeros(len(mask_preds), dtype=torch.float32)
    preds = (mask_preds > 0).flatten(1).float()
    gts = resize_masks(gt_masks, mask_preds.shape[-2:], 'nearest').flatten(1).float()
    common = preds @ gts.T
    union = preds.sum(1)[:, None] + gts.sum(1) - common
    return (common / union.clamp(min=1)).amax(1)


def hidden_cells(mask_preds: Tensor, size_hw: Sequence[int], num_heads: int) -> Tensor:
    """What queries must not look at: cells outside of their masks (Mask2Former, https://arxiv.org/abs/2112.01527).

    Args:
        mask_preds: (N, Q, h, w) logits.
        size_hw: H and W of the map that the queries look at.
        num_heads: heads of the attention.

    Returns:
        (N * num_heads, Q, H * W) bool, image after image; a query whose mask is empty may look at all cells.
    """
    resized = F.interpolate(mask_preds.detach(), size=tuple(size_hw), mode='bilinear').flatten(2)
    hidden = resized.sigmoid() < 0.5
    hidden = hidden & ~hidden.all(-1, keepdim=True)
    return hidden.repeat_interleave(num_heads, dim=0)


def refuse_boxes(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Not offered; a method of heads whose queries predict masks.

    Raises:
        NotImplementedError: always; queries predict masks, and stand at no points of a feature map.
    """
    raise NotImplementedError(
        f'{type(self).__name__} has queries, which predict masks: there are no boxes, points or levels of its own; '
        'use forward, or simple_test with a MaskFormerFusionHead'
    )
