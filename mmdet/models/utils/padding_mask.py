"""Which cells of a batch are padding."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdet.core.img_meta import ImgMeta
from mmdet.utils.running.device_copy import to_device


def padding_mask(img_metas: Sequence[ImgMeta], size_hw: Sequence[int], device: torch.device) -> Tensor:
    """(N, H, W) bool, True for cells of a map that lie on padding.

    Args:
        img_metas: has ``img_shape`` and ``batch_input_shape`` (else ``pad_shape``) of each image.
        size_hw: of the map.
        device: of the result.
    """
    masks = batch_mask(img_metas, device)[:, None].float()
    return F.interpolate(masks, size=tuple(size_hw))[:, 0].bool()


def batch_mask(img_metas: Sequence[ImgMeta], device: torch.device) -> Tensor:
    """(N, H, W) bool, True for pixels of the batch that are padding."""
    height, width = img_metas[0].get('batch_input_shape') or img_metas[0]['pad_shape'][:2]
    sizes = to_device([meta['img_shape'][:2] for meta in img_metas], torch.long, device)
    below = torch.arange(height, device=device) >= sizes[:, :1]
    right = torch.arange(width, device=device) >= sizes[:, 1:]
    return below[:, :, None] | right[:, None]
