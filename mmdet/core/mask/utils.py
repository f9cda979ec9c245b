"""Small conversions of masks."""

import numpy as np
import pycocotools.mask as mask_utils
import torch
from torch import Tensor


def split_combined_polys(
    polys: list[np.ndarray], poly_lens: list[np.ndarray], polys_per_mask: list[np.ndarray]
) -> list[list[list[np.ndarray]]]:
    """Take apart the polygons of several images, which lie one behind the other.

    Args:
        polys: for each image (total length,) all polygons joined.
        poly_lens: for each image (number of polygons,) their lengths.
        polys_per_mask: for each image (number of masks,) how many polygons a mask has.

    Returns:
        ``out[image][mask][polygon]``.
    """
    return [
        _split(_split(image_polys, lengths), counts)
        for image_polys, lengths, counts in zip(polys, poly_lens, polys_per_mask)
    ]


def _split(sequence: np.ndarray | list, lengths: np.ndarray | Tensor | list[int]) -> list:
    """Consecutive slices of the given lengths, which add up to the whole."""
    lengths = [int(n) for n in lengths]
    if sum(lengths) != len(sequence):
        raise ValueError(f'split_combined_polys: lengths {lengths} add up to {sum(lengths)}, expected {len(sequence)}')
    ends = np.cumsum(lengths, dtype=int).tolist()
    return [sequence[end - length : end] for end, length in zip(ends, lengths)]


def encode_mask_results(mask_results: list | tuple) -> list | tuple:
    """Bitmaps of one image as run lengths.

    Args:
        mask_results: for each class a list of bitmaps (h, w); or a pair of that and the masks' scores.

    Returns:
        The same nesting, with COCO's compressed run lengths (``dict(size, counts)``) in place of bitmaps.
    """
    if isinstance(mask_results, tuple):
        segms, scores = mask_results
        return encode_mask_results(segms), scores
    return [[_encode(mask) for mask in masks] for masks in mask_results]


def _encode(mask: np.ndarray) -> dict:
    return mask_utils.encode(np.asfortranarray(mask, dtype=np.uint8))


def mask2bbox(masks: Tensor) -> Tensor:
    """Bitmaps (n, h, w) -> the smallest boxes around them (n, 4), xyxy, x2 and y2 exclusive; zeros for empty ones."""
    filled = masks != 0
    if 0 in masks.shape[1:]:
        return torch.zeros((masks.size(0), 4), device=masks.device)
    x1, x2 = _first_and_end(filled.any(1))
    y1, y2 = _first_and_end(filled.any(2))
    return torch.stack([x1, y1, x2, y2], dim=1).float()


def _first_and_end(filled: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (n, k) of bools -> first True and one past the last True of each (n,); 0 and 0 for rows without any."""
    numbers = torch.arange(filled.size(1), device=filled.device)
    first = torch.where(filled, numbers, filled.size(1)).amin(1)
    end = torch.where(filled, numbers + 1, 0).amax(1)
    return first.minimum(end), end
