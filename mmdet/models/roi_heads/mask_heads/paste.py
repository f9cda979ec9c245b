"""From masks of RoIs to masks of images."""

import math
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmdet.utils.registry import did_you_mean

# how masks are pasted, see image_masks
EXACT, WHOLE_PIXELS = PASTINGS = 'exact', 'whole_pixels'

# a pasted float mask and its sampling grid (two floats a pixel) stay within this at a time
CHUNK_BYTES = 2**28
BYTES_PER_PIXEL = 12

Region = tuple[slice, slice]  # rows, columns


def box_region(boxes: Tensor, img_h: int, img_w: int) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of the integer region that holds all boxes (n, 4) px and one pixel around, inside the image."""
    low = boxes[:, :2].amin(0).floor() - 1
    high = boxes[:, 2:].amax(0).ceil() + 1
    x0, y0 = low.clamp(min=0).int().tolist()
    x1, y1 = high.int().tolist()
    return x0, y0, max(min(x1, img_w), x0), max(min(y1, img_h), y0)


def sampling_positions(start: int, end: int, low: Tensor, high: Tensor) -> Tensor:
    """Where the centres of pixels ``start .. end - 1`` lie inside each box.

    Args:
        start, end: pixels, ``end`` not included.
        low, high: (n,) px, the edges of the boxes along this axis.

    Returns:
        (n, end - start); -1 and 1 are the edges of a box. Boxes without extent give 0.
    """
    centres = torch.arange(start, end, device=low.device, dtype=torch.float32) + 0.5
    positions = (centres - low[:, None]) / (high - low)[:, None] * 2 - 1
    return torch.where(positions.isfinite(), positions, 0.0)


def whole_pixel_boxes(masks: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Masks with an empty cell around and boxes as much larger, moved to whole pixels, as torchvision pastes them.

    Args:
        masks: (n, 1, m, m).
        boxes: (n, 4) xyxy px of the image.

    Returns:
        (n, 1, m + 2, m + 2), and (n, 4) whole px, of which the last ones belong to the boxes no more.
    """
    growth = 1 + 2 / masks.size(-1)
    centre, half = (boxes[:, :2] + boxes[:, 2:]) * 0.5, (boxes[:, 2:] - boxes[:, :2]) * 0.5 * growth
    low, high = (centre - half).trunc(), (centre + half).trunc()
    return F.pad(masks, (1, 1, 1, 1)), torch.cat([low, torch.maximum(high, low) + 1], dim=1)


def paste_masks(
    masks: Tensor, boxes: Tensor, img_h: int, img_w: int, skip_empty: bool = True, pasting: str = EXACT
) -> tuple[Tensor, Region | tuple[()]]:
    """Paste masks into their boxes, by bilinear interpolation.

    Args:
        masks: (n, 1, h, w), values in [0, 1]; n >= 1.
        boxes: (n, 4) xyxy px of the image.
        img_h, img_w: size of the image.
        skip_empty: compute only the region that holds all boxes; otherwise the whole image.
        pasting: one of :data:`PASTINGS`, see :func:`image_masks`.

    Returns:
        (n, H, W) float masks and the rows and columns of the image that they cover; an empty tuple for the whole image.
    """
    if pasting == WHOLE_PIXELS:
        masks, boxes = whole_pixel_boxes(masks, boxes)
    x0, y0, x1, y1 = box_region(boxes, img_h, img_w) if skip_empty else (0, 0, img_w, img_h)
    xs = sampling_positions(x0, x1, boxes[:, 0], boxes[:, 2])
    ys = sampling_positions(y0, y1, boxes[:, 1], boxes[:, 3])
    size = len(masks), ys.size(1), xs.size(1)
    grid = torch.stack([xs[:, None, :].expand(size), ys[:, :, None].expand(size)], dim=3)
    # a mask on whole pixels ends at the edges of its box; another one fades out around it
    padding = 'border' if pasting == WHOLE_PIXELS else 'zeros'
    pasted = F.grid_sample(masks.float(), grid, padding_mode=padding, align_corners=False)[:, 0]
    if pasting == WHOLE_PIXELS:
        pasted = pasted * ((xs.abs() < 1)[:, None, :] & (ys.abs() < 1)[:, :, None])
    return pasted, (slice(y0, y1), slice(x0, x1)) if skip_empty else ()


def _chunks(n: int, img_h: int, img_w: int, device: torch.device) -> Iterator[slice]:
    """Pieces of n masks: one mask at a time on a CPU, where a box's own region is cheapest; else as memory allows."""
    size = 1 if device.type == 'cpu' else max(1, CHUNK_BYTES // max(img_h * img_w * BYTES_PER_PIXEL, 1))
    return (slice(i * size, min((i + 1) * size, n)) for i in range(math.ceil(n / size)))


def image_masks(
    masks: Tensor, boxes: Tensor, img_h: int, img_w: int, threshold: float, pasting: str = EXACT
) -> list[np.ndarray]:
    """Masks of a whole image for each box.

    Beside the result itself no more than about ``CHUNK_BYTES`` are in use.

    Args:
        masks: (n, 1, h, w), values in [0, 1].
        boxes: (n, 4) xyxy px of the image.
        img_h, img_w: size of the image.
        threshold: pixels of at least this value are inside; negative: keep the values, times 255.
        pasting: ``'exact'``: each pixel has the mask's value at its centre; ``'whole_pixels'``: as torchvision, whose
            masks have an empty cell around and are enlarged to the whole pixels that this covers.

    Returns:
        n arrays (img_h, img_w), bool, or uint8 for a negative threshold.

    Raises:
        ValueError: an unknown way of pasting.
    """
    if pasting not in PASTINGS:
        raise ValueError(
            f'test_cfg.rcnn.mask_pasting must be one of {PASTINGS}, got {pasting!r}'
            f'{did_you_mean(str(pasting), PASTINGS)}'
        )
    results: list[np.ndarray] = []
    for chunk in _chunks(len(masks), img_h, img_w, masks.device):
        pasted, region = paste_masks(masks[chunk], boxes[chunk], img_h, img_w, pasting=pasting)
        pasted = pasted >= threshold if threshold >= 0 else (pasted * 255).to(torch.uint8)
        whole = np.zeros((len(pasted), img_h, img_w), dtype=bool if threshold >= 0 else np.uint8)
        covered: tuple[slice, ...] = (slice(None), *region)
        whole[covered] = pasted.cpu().numpy()
        results.extend(whole)
    return results


def masks_of_labels(mask_pred: Tensor, labels: Tensor) -> Tensor:
    """(n, K, h, w) masks of all classes and (n,) labels -> (n, h, w); a single mask is that of every label."""
    if mask_pred.size(1) == 1:
        return mask_pred[:, 0]
    return mask_pred[torch.arange(labels.size(0), device=labels.device), labels]
