"""Suppression of overlapping masks by lowering their scores, all at once (Matrix NMS, SOLOv2, arXiv:2003.10152)."""

import torch
import torch.nn.functional as F
from torch import Tensor

_KERNELS = ('gaussian', 'linear')


def mask_matrix_nms(
    masks: Tensor,
    labels: Tensor,
    scores: Tensor,
    filter_thr: float = -1,
    nms_pre: int = -1,
    max_num: int = -1,
    kernel: str = 'gaussian',
    sigma: float = 2.0,
    mask_area: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Lower each mask's score by its overlap with better masks of its class.

    Args:
        masks: (n, h, w) binary.
        labels: (n,).
        scores: (n,).
        filter_thr: a mask stays if its lowered score is at least this; -1: all stay.
        nms_pre: so many of the best take part; -1: all.
        max_num: keep so many at most; -1: all.
        kernel: how the score falls with the IoU: ``'gaussian'`` or ``'linear'``.
        sigma: sharpness of the gaussian.
        mask_area: (n,) pixels of the masks; default counted.

    Returns:
        Lowered scores (k,) best first, labels (k,), masks (k, h, w), and their indices (k,).

    Raises:
        ValueError: unknown kernel, or lengths that differ.
    """
    lengths = [x.size(0) for x in (masks, labels, scores, mask_area) if x is not None]
    if any(length != lengths[0] for length in lengths):
        raise ValueError(f'mask_matrix_nms: masks, labels, scores (and areas) differ in length: {lengths}')
    if kernel not in _KERNELS and masks.size(0):
        raise ValueError(f'mask_matrix_nms: kernel must be one of {_KERNELS}, got {kernel!r}')
    order = scores.argsort(descending=True)
    order = order[:nms_pre] if nms_pre > 0 else order
    flat = masks[order].flatten(1).float()
    area = flat.sum(1) if mask_area is None else mask_area[order].float()
    lowered = scores[order] * _decay(_better_overlap(flat, area, labels[order]), kernel, sigma)
    if filter_thr > 0:
        stay = lowered >= filter_thr
        lowered, order = lowered[stay], order[stay]
    lowered, best = lowered.sort(descending=True)
    if max_num > 0:
        lowered, best = lowered[:max_num], best[:max_num]
    order = order[best]
    return lowered, labels[order], masks[order], order


def _better_overlap(flat: Tensor, area: Tensor, labels: Tensor) -> Tensor:
    """IoU (n, n) of mask j (column) with the better mask i (row) of the same class; 0 for all other pairs."""
    with torch.autocast(flat.device.type, enabled=False):  # half precision cannot count the pixels of a mask
        inter = flat @ flat.t()
    union = area[:, None] + area[None, :] - inter
    same_class = labels[:, None] == labels[None, :]
    # rows are sorted by score: above the diagonal the row is the better mask of a pair
    return (inter / union.clamp(min=1) * same_class).triu(diagonal=1)


def _decay(overlap: Tensor, kernel: str, sigma: float) -> Tensor:
    """Factor (n,) on each score: the least over better masks, made up for how much those were lowered themselves."""
    # a row without overlap in front: it changes nothing, and there may be no mask
    overlap = torch.cat([overlap.new_zeros(1, overlap.size(1)), overlap])
    # a mask that was lowered itself should lower others less
    worst = F.pad(overlap.amax(0), (1, 0))[:, None]  # of the better mask
    if kernel == 'gaussian':
        # f(overlap) / f(worst), equation 5 of the paper, as one exponential: the quotient of two tiny numbers is lost
        return torch.exp(-sigma * (overlap**2 - worst**2)).amin(0)
    return ((1 - overlap) / (1 - worst).clamp(min=torch.finfo(overlap.dtype).eps)).amin(0)  # 0 / 0 of equal masks
