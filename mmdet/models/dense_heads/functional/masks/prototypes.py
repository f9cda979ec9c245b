"""Masks as mixtures of prototypes that all objects of an image share (https://arxiv.org/abs/1904.02689)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdet.ops.probability_loss import probability_cross_entropy


def sanitize_coordinates(
    x1: Tensor, x2: Tensor, img_size: int, padding: int = 0, cast: bool = True
) -> tuple[Tensor, Tensor]:
    """Ends of ranges, as parts of an image's side, in cells, in order, padded and clipped.

    Args:
        x1, x2: (n,) in [0, 1].
        img_size: cells of the side.
        padding: cells by which a range is longer at each end.
        cast: round towards zero to whole cells.

    Returns:
        lower and upper ends (n,) in [0, img_size].
    """
    x1, x2 = x1 * img_size, x2 * img_size
    if cast:
        x1, x2 = x1.long(), x2.long()
    return (torch.minimum(x1, x2) - padding).clamp(min=0), (torch.maximum(x1, x2) + padding).clamp(max=img_size)


def crop_masks(masks: Tensor, boxes: Tensor, padding: int = 1) -> Tensor:
    """Masks (h, w, n), zero outside their boxes (n, 4), which are parts of the image's sides, and ``padding`` cells."""
    height, width = masks.shape[:2]
    x1, x2 = sanitize_coordinates(boxes[:, 0], boxes[:, 2], width, padding, cast=False)
    y1, y2 = sanitize_coordinates(boxes[:, 1], boxes[:, 3], height, padding, cast=False)
    columns = torch.arange(width, device=masks.device)[None, :, None]
    rows = torch.arange(height, device=masks.device)[:, None, None]
    return masks * ((columns >= x1) & (columns < x2) & (rows >= y1) & (rows < y2))


def resize_masks(masks: Tensor, size: Sequence[int]) -> Tensor:
    """0/1 masks (n, H, W) -> float 0/1 masks (n, h, w), bilinearly, 1 above one half."""
    return (F.interpolate(masks[None].float(), list(size), mode='bilinear', align_corners=False)[0] > 0.5).float()


def masks_of_classes(masks: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """0/1 masks (G, h, w) of objects and their classes (G,) -> (K, h, w), 1 where an object of the class is."""
    own = F.one_hot(labels, num_classes).to(masks)
    return (own.t() @ masks.flatten(1)).clamp(max=1).unflatten(1, masks.shape[1:])


def mask_losses(probabilities: Tensor, targets: Tensor, boxes: Tensor, img_shape: tuple[int, ...]) -> Tensor:
    """Mean binary cross entropy of each mask, divided by the part of the image that its box covers.

    Args:
        probabilities: (n, h, w) in [0, 1].
        targets: (n, h, w), 0/1.
        boxes: (n, 4) pixels.
        img_shape: (h, w, ...) of the image, pixels.

    Returns:
        (n,).
    """
    loss = probability_cross_entropy(probabilities.float().clamp(0, 1), targets)
    height, width = img_shape[:2]
    return loss.mean(dim=(1, 2)) / ((boxes[:, 2] - boxes[:, 0]) / width) / ((boxes[:, 3] - boxes[:, 1]) / height)
