"""Anchor sizes that fit the boxes of a data set, by k-means and by differential evolution.

Both work on sizes alone: the overlap of two boxes of the same centre.
"""

import numpy as np
import torch
from scipy.optimize import differential_evolution
from torch import Tensor

MIN_SIDE = 1.0  # px: smaller anchors than a pixel make no sense


def shape_iou(sizes: Tensor, anchors: Tensor) -> Tensor:
    """Intersection over union of boxes (n, 2) and anchors (k, 2), width and height, of the same centre: (n, k)."""
    overlap = torch.minimum(sizes[:, None], anchors).prod(-1)
    return overlap / (sizes.prod(-1)[:, None] + anchors.prod(-1) - overlap).clamp(min=1e-6)


def mean_best_iou(sizes: Tensor, anchors: Tensor) -> float:
    """Mean over boxes (n, 2) of the overlap with their best anchor of (k, 2)."""
    return float(shape_iou(sizes, anchors).amax(1).mean())


def fitted_sizes(sizes: np.ndarray, image_sizes: np.ndarray, input_size: tuple[int, int]) -> np.ndarray:
    """Sizes of boxes after their images are scaled, with their ratio kept, to fit the network's input.

    Args:
        sizes: (n, 2) width and height px.
        image_sizes: (n, 2) width and height px of the image of each box.
        input_size: width and height px.

    Returns:
        (n, 2).
    """
    scale = (np.asarray(input_size) / image_sizes).min(1, keepdims=True)
    return sizes * scale


def kmeans_anchors(sizes: Tensor, count: int, iters: int = 1000, seed: int = 0) -> Tensor:
    """Cluster sizes by overlap (Redmon and Farhadi, https://arxiv.org/abs/1612.08242); a centre is a mean size.

    Args:
        sizes: (n, 2) float, n >= ``count``.
        count: k clusters.
        iters: at most so many rounds; it ends where nothing changes any more.
        seed: of the choice of the first centres among the sizes.

    Returns:
        (k, 2), smallest area first.

    Raises:
        ValueError: fewer sizes than clusters.
    """
    if len(sizes) < count:
        raise ValueError(f'kmeans_anchors: {len(sizes)} boxes do not suffice for {count} anchors')
    generator = torch.Generator().manual_seed(seed)
    centres = sizes[torch.randperm(len(sizes), generator=generator)[:count].to(sizes.device)]
    for _ in range(iters):
        nearest = shape_iou(sizes, centres).argmax(1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, sizes)
        members = torch.bincount(nearest, minlength=count)[:, None]
        # a cluster that lost all its boxes stays where it is
        moved = torch.where(members > 0, sums / members.clamp(min=1), centres)
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres[centres.prod(-1).argsort()]


def evolved_anchors(
    sizes: Tensor, count: int, input_size: tuple[int, int], iters: int = 1000, seed: int | None = 0
) -> Tensor:
    """Sizes that maximise :func:`mean_best_iou`, by differential evolution.

    Args:
        sizes: (n, 2) float.
        count: k.
        input_size: width and height px, the largest anchor.
        iters: at most so many generations.
        seed: of the search.

    Returns:
        (k, 2), smallest area first.

    Raises:
        ValueError: there is no box.
    """
    if not len(sizes):
        raise ValueError('evolved_anchors: there is no box to fit anchors to')

    def cost(flat: np.ndarray) -> float:
        return 1 - mean_best_iou(sizes, torch.as_tensor(flat, dtype=sizes.dtype, device=sizes.device).view(-1, 2))

    bounds = [(MIN_SIDE, float(side)) for side in input_size] * count
    found = differential_evolution(cost, bounds, maxiter=iters, tol=1e-4, seed=seed, polish=False)
    anchors = torch.as_tensor(found.x, dtype=sizes.dtype, device=sizes.device).view(-1, 2)
    return anchors[anchors.prod(-1).argsort()]
