"""Anchors whose shapes are predicted, and the boxes that come from them (https://arxiv.org/abs/1901.03278)."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import rows_of
from mmdet.models.dense_heads.functional.rows import flatten_map, rows_of_level

# Default arguments of the heads; every builder copies them.
APPROXIMATIONS = dict(
    type='AnchorGenerator',
    octave_base_scale=8,
    scales_per_octave=3,
    ratios=(0.5, 1.0, 2.0),
    strides=(4, 8, 16, 32, 64),
)
SQUARES = dict(type='AnchorGenerator', ratios=(1.0,), scales=(8,), strides=(4, 8, 16, 32, 64))
PLAIN_CODER = dict(
    type='DeltaXYWHBBoxCoder', target_means=(0.0, 0.0, 0.0, 0.0), target_stds=(1.0, 1.0, 1.0, 1.0)
)  # fmt: skip

MAX_SHAPE_RATIO = 1e-6  # a square may grow by the inverse of this: shapes are free, unlike those of box deltas

LevelOfImage = Callable[..., tuple[Tensor, Tensor]]


def shape_squares(coder: Any, squares: Tensor, shapes: Tensor) -> Tensor:
    """Boxes (n, 4) in the places of ``squares`` (n, 4), with the predicted shapes (n, 2) as ``coder`` reads them."""
    deltas = torch.cat([torch.zeros_like(shapes), shapes], dim=1)
    return coder.decode(squares, deltas, wh_ratio_clip=MAX_SHAPE_RATIO)


def shaped_rows(
    coder: Any, shape_pred: Tensor, squares: Tensor, gts: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Guided anchors, their objects' boxes and weights, (P, 4) each, of the squares of a level that have a weight.

    Args:
        coder: between squares and guided anchors.
        shape_pred: (N, A * 2, H, W).
        squares, gts, weights: (N, H * W * A, 4).
    """
    squares, gts, weights = (part.reshape(-1, 4) for part in (squares, gts, weights))
    rows = (weights[:, 0] > 0).nonzero().squeeze(1)
    return shape_squares(coder, squares[rows], rows_of_level(shape_pred, 2)[rows]), gts[rows], weights[rows]


def location_mask(loc_pred: Tensor, num_priors: int, threshold: float) -> Tensor:
    """Location logits (1, H, W) -> (H * W * A,) bool, which squares are of places of that probability at least."""
    mask = flatten_map(loc_pred.detach(), 1).squeeze(1).sigmoid() >= threshold
    return mask.repeat_interleave(num_priors)


def anchors_of_level(
    coder: Any,
    squares: Tensor,
    shape_pred: Tensor,
    loc_pred: Tensor,
    num_priors: int,
    threshold: float | None,
    rows: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Guided anchors of one level of one image.

    Args:
        coder: between squares and guided anchors.
        squares: (H * W * A, 4).
        shape_pred: (A * 2, H, W).
        loc_pred: (1, H, W).
        num_priors: A.
        threshold: least probability of a place; None: all places count.
        rows: (k,) where :func:`location_mask` is true; None: to be found, which a GPU's host waits for.

    Returns:
        guided anchors (k, 4), without gradient, and the mask (H * W * A,) of the k places.
    """
    shapes = flatten_map(shape_pred.detach(), 2)
    if threshold is None:
        return shape_squares(coder, squares, shapes), torch.ones_like(shapes[:, 0], dtype=torch.bool)
    mask = location_mask(loc_pred, num_priors, threshold)
    rows = mask.nonzero().squeeze(1) if rows is None else rows
    return shape_squares(coder, squares[rows], shapes[rows]), mask


def anchors_of_batch(
    of_level: LevelOfImage,
    squares: list[Tensor],
    shape_preds: Sequence[Tensor],
    loc_preds: Sequence[Tensor],
    num_priors: int,
    threshold: float | None,
) -> tuple[list[list[Tensor]], list[list[Tensor]], list[list[Tensor]]]:
    """Squares, guided anchors, and where these are.

    Args:
        of_level: gives guided anchors and mask of squares (H * W * A, 4), shapes (A * 2, H, W) and places (1, H, W);
            where places are filtered, also of ``rows`` as :func:`anchors_of_level` takes them.
        squares: L times (H * W * A, 4).
        shape_preds: L maps (N, A * 2, H, W).
        loc_preds: L maps (N, 1, H, W).
        num_priors: A.
        threshold: least probability of a place; None: all places count.

    Returns:
        N times L times squares (H * W * A, 4), the N lists being one object; guided anchors (k, 4); and masks
        (H * W * A,) with k true ones.
    """
    num_imgs = len(shape_preds[0])
    places: Sequence[dict[str, Tensor]] = [{}] * len(squares) * num_imgs  # further arguments, a level of an image
    if threshold is not None:
        likely = [location_mask(level[i], num_priors, threshold) for i in range(num_imgs) for level in loc_preds]
        places = [dict(rows=rows) for rows in rows_of(likely)]
    guided, masks = [], []
    for i in range(num_imgs):
        of_image = zip(squares, (level[i] for level in shape_preds), (level[i] for level in loc_preds))
        rows = places[i * len(squares) :]
        levels = [of_level(*level, **extra) for level, extra in zip(of_image, rows)]
        guided.append([anchors for anchors, _ in levels])
        masks.append([mask for _, mask in levels])
    return [squares] * num_imgs, guided, masks
