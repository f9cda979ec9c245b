"""Instances by location: cells of a grid over the image that predict a class and a mask (arXiv:1912.04488).

S cells a side of a grid, R cells of all grids of an image.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdet.core.data_structures.instance_data import InstanceData
from mmdet.core.img_meta import ImgMeta
from mmdet.core.post_processing.matrix_nms import mask_matrix_nms
from mmdet.core.targets import Targets
from mmdet.models.dense_heads.functional.guided.guided_targets import last_object
from mmdet.utils.running.device_copy import tensor_like, to_device


def mass_centres(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Masks (G, H, W), 0/1 -> y and x (G,) of their centres, pixels; 0 where a mask is empty."""
    ys, xs = (torch.arange(side, dtype=torch.float32, device=masks.device) for side in masks.shape[1:])
    of_rows, of_columns = masks.sum(2).float(), masks.sum(1).float()
    total = of_rows.sum(1).clamp(min=1e-6)
    return (of_rows * ys).sum(1) / total, (of_columns * xs).sum(1) / total


def centre_cells(gt_bboxes: Tensor, gt_masks: Tensor, num_grid: int, pos_scale: float, size: Sequence[float]) -> Tensor:
    """Cells in the middles of objects, at most three in each direction.

    Args:
        gt_bboxes: (G, 4) pixels.
        gt_masks: (G, H, W), 0/1; the middle is the centre of mass. An empty one has no cells.
        num_grid: S.
        pos_scale: size of the middle as a part of the box's.
        size: (h, w) that the grid covers, pixels.

    Returns:
        (G, S, S) bool, rows before columns.
    """
    centres = mass_centres(gt_masks)
    sides = (gt_bboxes[:, 3] - gt_bboxes[:, 1], gt_bboxes[:, 2] - gt_bboxes[:, 0])
    numbers, inside = torch.arange(num_grid, device=gt_bboxes.device), []
    for centre, side, length in zip(centres, sides, size):
        reach = 0.5 * side * pos_scale
        cell, first, last = (
            (position / length).div(1 / num_grid, rounding_mode='floor')
            for position in (centre, centre - reach, centre + reach)
        )
        first, last = torch.maximum(first, cell - 1), torch.minimum(last, cell + 1)
        inside.append((numbers >= first[:, None]) & (numbers <= last[:, None]))
    filled = gt_masks.flatten(1).any(1)
    return inside[0][:, :, None] & inside[1][:, None, :] & filled[:, None, None]


def shrink_masks(masks: Tensor, stride: float, size: tuple[int, int]) -> Tensor:
    """0/1 masks (n, H, W), a ``stride``-th as large, in the upper left corner of maps (n, h, w) of the given size."""
    height, width = (int(side / stride + 0.5) for side in masks.shape[-2:])
    small = F.interpolate(masks[:, None].float(), (height, width), mode='bilinear', align_corners=False)[:, 0] >= 0.5
    return F.pad(small.float(), (0, max(size[1] - width, 0), 0, max(size[0] - height, 0)))[:, : size[0], : size[1]]


class GridTargets(NamedTuple):
    """What cells of one grid learn in one image."""

    labels: Tensor  # (S * S,) in [0, K], K for background
    cells: Tensor  # (P,) of the masks to learn
    masks: Tensor  # (P, h, w)


def grid_targets(
    gt_bboxes: Tensor,
    gt_labels: Tensor,
    gt_masks: Tensor,
    cells: Tensor,
    stride: float,
    size: tuple[int, int],
    num_classes: int,
    last_only: bool,
) -> GridTargets:
    """Targets of one grid in one image.

    Args:
        gt_bboxes: (G, 4) of the objects that this grid predicts.
        gt_labels: (G,).
        gt_masks: (G, H, W).
        cells: (G, S, S) of :func:`centre_cells`. Where objects share a cell, the label is that of the last one.
        stride: pixels of a cell of the predicted masks.
        size: (h, w) of the predicted masks.
        num_classes: K.
        last_only: a shared cell learns the mask of the last object alone, otherwise those of all.
    """
    last = last_object(cells).flatten()
    labels = F.pad(gt_labels, (1, 0), value=num_classes)[last]
    if last_only:
        places = last.nonzero().squeeze(1)
        objects = last[places] - 1
    else:
        objects, places = cells.flatten(1).nonzero(as_tuple=True)
    return GridTargets(labels, places, shrink_masks(gt_masks, stride, size)[objects])


class Grid(NamedTuple):
    """What one level predicts."""

    side: int  # S
    scale_range: tuple[float, float]  # smallest and largest object, roots of their boxes' areas in pixels
    stride: float  # pixels of a cell of the predicted masks
    size: tuple[int, int]  # (h, w) of the predicted masks


def targets_of_image(
    gt_bboxes: Tensor,
    gt_labels: Tensor,
    gt_masks: Tensor,
    grids: Sequence[Grid],
    pos_scale: float,
    num_classes: int,
    last_only: bool,
) -> list[GridTargets]:
    """Targets of one image, one for each of the grids, which all cover what the masks of the first one cover.

    Args:
        gt_bboxes: (G, 4).
        gt_labels: (G,).
        gt_masks: (G, H, W).
        grids: an object is learnt by all those whose range it is in.
        pos_scale: see :func:`centre_cells`.
        num_classes, last_only: see :func:`grid_targets`.
    """
    # one copy to the host, which would otherwise wait for the number of objects of each grid
    lengths = (gt_bboxes[:, 2:] - gt_bboxes[:, :2]).prod(dim=1).sqrt().tolist()
    covered = tuple(side * grids[0].stride for side in grids[0].size)
    out = []
    for grid in grids:
        low, high = grid.scale_range
        own = to_device([i for i, side in enumerate(lengths) if low <= side <= high], torch.long, gt_masks.device)
        boxes, labels, masks = gt_bboxes[own], gt_labels[own], gt_masks[own]
        cells = centre_cells(boxes, masks, grid.side, pos_scale, covered)
        out.append(grid_targets(boxes, labels, masks, cells, grid.stride, grid.size, num_classes, last_only))
    return out


def masks_of_batch(images: Sequence[GridTargets]) -> tuple[Tensor, Tensor, Tensor]:
    """The masks (P, h, w) that a grid learns in a batch, behind the numbers (P,) of their images and their cells."""
    of_image = torch.cat([torch.full_like(image.cells, i) for i, image in enumerate(images)])
    return of_image, torch.cat([image.cells for image in images]), torch.cat([image.masks for image in images])


def rows_of_grids(images: Sequence[Sequence[GridTargets]], num_classes: int) -> tuple[Tensor, Targets]:
    """Labels (N, R) of the cells of all grids, and targets of these rows, to be weighed.

    A row's box weight stands for the weight of its cell's mask.

    Args:
        images: for each of N images the targets of each grid.
        num_classes: K.
    """
    labels = torch.stack([torch.cat([grid.labels for grid in image]) for image in images])
    ones = torch.ones_like(labels, dtype=torch.float32)
    return labels, Targets(labels, ones, ones[..., None], (labels < num_classes)[..., None].float())


def summed_mask_losses(
    loss_mask: Callable[..., Tensor],
    masks_of: Callable[[int, Tensor, Tensor], Tensor],
    images: Sequence[Sequence[GridTargets]],
    weights: Tensor,
) -> Tensor:
    """The sum of the losses of all masks that the cells of a batch learn.

    Args:
        loss_mask: gives (P,) of logits and targets (P, h, w) each.
        masks_of: gives for a grid, images (P,) and cells (P,) the predicted masks (P, h, w).
        images: for each of N images the targets of each grid.
        weights: (N, R) of the cells.
    """
    losses = []
    counts = [grid.labels.numel() for grid in images[0]]
    for level, of_cells in enumerate(weights.split(counts, dim=1)):
        # level by level, as masks of all cells at once would not fit: only those of objects are ever made
        places, cells, masks = masks_of_batch([image[level] for image in images])
        of_masks = loss_mask(masks_of(level, places, cells), masks, reduction_override='none')
        losses.append((of_masks * of_cells[places, cells]).sum())
    return torch.stack(losses).sum()


def instances_of_cells(
    cls_scores: Tensor,
    masks_of: Callable[[Tensor], Tensor],
    least_areas: Tensor,
    scale: int,
    img_meta: ImgMeta,
    cfg: Any,
) -> InstanceData:
    """Instances of one image, suppressed by Matrix NMS.

    Args:
        cls_scores: (R, K).
        masks_of: gives the masks (k, h, w) in [0, 1] of cells (k,).
        least_areas: (R,) cells of a mask that has more than so many.
        scale: pixels of a cell of the masks.
        img_meta: meta information of the image.
        cfg: keys ``score_thr``, ``mask_thr``, ``filter_thr``, ``nms_pre``, ``max_per_img``, ``kernel``, ``sigma``.

    Returns:
        ``scores`` (n,), ``labels`` (n,), ``masks`` (n, H, W) bool of the original image's size, best first.
    """
    rows, labels = (cls_scores > cfg.score_thr).nonzero(as_tuple=True)
    probabilities = masks_of(rows)
    masks = probabilities > cfg.mask_thr
    areas = masks.sum((1, 2)).float()
    # a mask that is hardly larger than its cell is noise
    kept = areas > least_areas[rows]
    rows, labels, probabilities, masks, areas = (t[kept] for t in (rows, labels, probabilities, masks, areas))
    # how sure a mask is of its own pixels: a class without a clear outline ranks lower
    scores = cls_scores[rows, labels] * ((probabilities * masks).sum((1, 2)) / areas)
    scores, labels, _, kept = mask_matrix_nms(
        masks,
        labels,
        scores,
        mask_area=areas,
        nms_pre=cfg.nms_pre,
        max_num=cfg.max_per_img,
        kernel=cfg.kernel,
        sigma=cfg.sigma,
        filter_thr=cfg.filter_thr,
    )
    results = InstanceData(img_meta)
    results.scores, results.labels = scores, labels
    results.masks = original_size(probabilities[kept], scale, img_meta) > cfg.mask_thr
    return results


def original_size(masks: Tensor, scale: int, img_meta: ImgMeta) -> Tensor:
    """Masks (n, h, w) over the padded image, of cells of ``scale`` pixels -> (n, H, W) over the original image."""
    height, width = img_meta['ori_shape'][:2]
    padded = tuple(side * scale for side in masks.shape[-2:])
    masks = F.interpolate(masks[:, None], padded, mode='bilinear', align_corners=False)
    masks = masks[..., : img_meta['img_shape'][0], : img_meta['img_shape'][1]]
    return F.interpolate(masks, (height, width), mode='bilinear', align_corners=False)[:, 0]


def columns_and_rows(num_grids: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
    """(R,) numbers of each cell's column and row, those of all grids counted one after another."""
    starts = [0, *accumulate(num_grids)]
    places = [torch.arange(n * n, device=device) for n in num_grids]
    columns = [place % n + start for place, n, start in zip(places, num_grids, starts)]
    rows = [place // n + start for place, n, start in zip(places, num_grids, starts)]
    return torch.cat(columns), torch.cat(rows)


def values_of_cells(values: Sequence[float], num_grids: Sequence[int], like: Tensor) -> Tensor:
    """(R,) each grid's value for all of its cells."""
    return tensor_like([value for value, n in zip(values, num_grids) for _ in range(n * n)], like)
