"""Helpers for priors: batches to levels, priors inside an image, central regions of boxes."""

import torch
from torch import Tensor

from mmdet.utils.running.device_copy import tensor_like

Device = str | torch.device


def usable_device(device: Device) -> torch.device:
    """``device``, or the CPU where a CUDA device is named on a machine without one.

    The public signatures of the prior generators default to ``'cuda'``; a call without a device must still work.
    """
    device = torch.device(device)
    return torch.device('cpu') if device.type == 'cuda' and not torch.cuda.is_available() else device


def images_to_levels(target: list[Tensor], num_levels: list[int]) -> list[Tensor]:
    """Regroup targets by level.

    Args:
        target: N tensors (R, ...), one an image, the priors of all levels one after another.
        num_levels: number of priors of each level; their sum is R.

    Returns:
        L tensors (N, R_l, ...), views of one stacked tensor.
    """
    return list(torch.stack(target).split(list(num_levels), dim=1))


def anchor_inside_flags(
    flat_anchors: Tensor, valid_flags: Tensor, img_shape: tuple[int, ...], allowed_border: float = 0
) -> Tensor:
    """Which anchors are valid and stay inside the image.

    Args:
        flat_anchors: (R, 4) xyxy px.
        valid_flags: (R,) bool.
        img_shape: (h, w[, c]) of the image without padding.
        allowed_border: px that an anchor may stick out; negative: any, so that only ``valid_flags`` count.

    Returns:
        (R,) bool.
    """
    if allowed_border < 0:
        return valid_flags
    height, width = img_shape[:2]
    x1, y1, x2, y2 = flat_anchors[:, :4].unbind(dim=1)
    inside = (x1 >= -allowed_border) & (y1 >= -allowed_border)
    return valid_flags & inside & (x2 < width + allowed_border) & (y2 < height + allowed_border)


def calc_region(
    bbox: Tensor, ratio: float, featmap_size: tuple[int, int] | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Central region of one box, in whole cells.

    Args:
        bbox: (4,) xyxy, in cells of the feature map.
        ratio: fraction cut off on each side; 0 keeps the box, 0.5 leaves its centre.
        featmap_size: (h, w); where given, the region is clipped to [0, w] and [0, h].

    Returns:
        x1, y1, x2, y2, each a long tensor without dimensions.
    """
    first = torch.round((1 - ratio) * bbox[:2] + ratio * bbox[2:]).long()
    last = torch.round(ratio * bbox[:2] + (1 - ratio) * bbox[2:]).long()
    region = torch.cat([first, last])
    if featmap_size is not None:
        height, width = featmap_size
        region = region.clamp(min=0).minimum(tensor_like([width, height, width, height], region))
    x1, y1, x2, y2 = region.unbind()
    return x1, y1, x2, y2
