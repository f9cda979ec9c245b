"""Targets of guided anchoring (https://arxiv.org/abs/1901.03278): where anchors should be, and of which shape.

An object is learnt on the level of its size. Cells in its centre are positive there; the ring around it, and its
surroundings on the two levels beside, are left out; all other cells are negative and weigh little.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmdet.core.anchor.anchor_generator import AnchorGenerator
from mmdet.core.anchor.utils import anchor_inside_flags, images_to_levels
from mmdet.core.bbox.assigners.region_assigner import calc_region, object_levels
from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets
from mmdet.core.utils.misc import multi_apply
from mmdet.models.dense_heads.functional.rows import output_rows, sample_counts

NEGATIVE_WEIGHT = 0.1  # of a cell without object, against 1 of a cell in an object's centre
LOCATIONS_PER_SAMPLE = 200  # so many cells count as one sample in the loss's divisor


def region_masks(gt_bboxes: Tensor, cut: float, stride: float, featmap_size: tuple[int, int]) -> Tensor:
    """Cells in the central regions of boxes.

    Args:
        gt_bboxes: (G, 4).
        cut: fraction of the box that is cut off on each side.
        stride: pixels of a cell.
        featmap_size: (h, w) of the feature map.

    Returns:
        (G, h, w) bool.
    """
    x1, y1, x2, y2 = (side.clamp(min=0)[:, None, None] for side in calc_region(gt_bboxes, cut, stride))
    rows, columns = (torch.arange(size, device=gt_bboxes.device) for size in featmap_size)
    rows = rows[:, None]
    return (columns >= x1) & (columns <= x2) & (rows >= y1) & (rows <= y2)


def last_object(masks: Tensor) -> Tensor:
    """Regions (G, h, w) -> (h, w) long: number, from 1, of the last object whose region a cell lies in, or 0."""
    ranks = torch.arange(1, len(masks) + 1, device=masks.device)[:, None, None]
    return torch.cat([ranks.new_zeros(1, *masks.shape[1:]), masks * ranks]).amax(dim=0)


def location_targets(
    gt_bboxes: Tensor,
    featmap_sizes: Sequence[tuple[int, int]],
    strides: Sequence[float],
    min_side: float,
    center_ratio: float,
    ignore_ratio: float,
) -> tuple[list[Tensor], list[Tensor]]:
    """Location targets of one image.

    Args:
        gt_bboxes: (G, 4).
        featmap_sizes: (h, w) of each level.
        strides: pixels of a cell of each level.
        min_side: side in pixels of an object of the first level.
        center_ratio: size of the centre as a fraction of the object's.
        ignore_ratio: size of centre and ring together.

    Returns:
        L maps (h, w) bool: an anchor should be here; L maps (h, w) of weights: 1, 0 or ``NEGATIVE_WEIGHT``.
    """
    offsets = object_levels(gt_bboxes, min_side, len(featmap_sizes))[:, None, None]
    targets, weights = [], []
    for level, (size, stride) in enumerate(zip(featmap_sizes, strides)):
        own, beside = offsets == level, (offsets - level).abs() == 1
        center, around = (
            region_masks(gt_bboxes, (1 - ratio) / 2, stride, size) for ratio in (center_ratio, ignore_ratio)
        )
        last_center, last_touching = last_object(center & own), last_object((center | around) & own)
        weight = torch.where((around & beside).any(dim=0), 0.0, NEGATIVE_WEIGHT).to(gt_bboxes)
        targets.append(last_center > 0)
        # where objects meet, the last one decides
        weights.append(torch.where(last_touching > 0, (last_center == last_touching).to(weight), weight))
    return targets, weights


def location_targets_of_batch(
    gt_bboxes: Sequence[Tensor], featmap_sizes: Sequence[tuple[int, int]], generator: AnchorGenerator, cfg: Any
) -> tuple[list[Tensor], list[Tensor], float]:
    """Where anchors should be: N times :func:`location_targets`, by level.

    Args:
        gt_bboxes: N times (G, 4).
        featmap_sizes: (H, W) of each level.
        generator: of the approximations.
        cfg: has ``center_ratio`` and ``ignore_ratio``.

    Returns:
        L maps (N, 1, H, W) of 0 and 1, L maps (N, 1, H, W) of weights, the divisor of the loss.
    """
    strides = [min(stride) for stride in generator.strides]
    levels = (featmap_sizes, strides, generator.octave_base_scale * strides[0], cfg.center_ratio, cfg.ignore_ratio)
    images = [location_targets(gts, *levels) for gts in gt_bboxes]
    targets, weights = (
        [torch.stack(level)[:, None].to(images[0][1][0]) for level in zip(*kind)] for kind in zip(*images)
    )
    return targets, weights, sum(level.numel() for level in targets) / LOCATIONS_PER_SAMPLE


def location_rows(targets: Tensor, weights: Tensor, num_classes: int) -> Targets:
    """Location targets (N, 1, H, W) and their weights as rows (N, H * W), to be weighed.

    A place without an object is a negative; where there is one, it counts as of class 0.
    """
    labels = torch.where(targets.flatten(1) > 0, 0, num_classes)
    return Targets(labels, weights.flatten(1), *[weights.flatten(1)[..., None]] * 2)


def overlaps_of_places(weights: Tensor) -> Callable[[int], Tensor]:
    """What :meth:`BaseHead.weigh` asks of the rows of a level's places, (N, 1, H, W).

    Places have no box: as if they covered objects whole, the policy that looks at overlaps leaves them as they are.
    """
    return lambda image: torch.full_like(weights[image].flatten(), float('inf'))


def sampled_approxs(
    generator: AnchorGenerator,
    featmap_sizes: Sequence[tuple[int, int]],
    img_metas: list[ImgMeta],
    border: float,
    device: str | torch.device,
) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
    """Approximations, and which squares have one inside the image.

    Args:
        generator: of the approximations, ``approxs`` of them for each square.
        featmap_sizes: (H, W) of each level.
        img_metas: meta information of the N images.
        border: pixels that an approximation may reach over the image; negative: any.
        device: where the tensors are made.

    Returns:
        N times L times (H * W * approxs, 4), the N lists being one object; N times L times bool (H * W,).
    """
    approxs = generator.grid_priors(featmap_sizes, device=device)
    counts = generator.num_base_priors
    inside = []
    for meta in img_metas:
        valid = generator.valid_flags(featmap_sizes, meta['pad_shape'], device)
        flags = (anchor_inside_flags(*level, meta['img_shape'][:2], border) for level in zip(approxs, valid))
        inside.append([level.view(-1, count).any(dim=1) for level, count in zip(flags, counts)])
    return [approxs] * len(img_metas), inside


class SampledSquares(NamedTuple):
    """The squares of an image that enter the loss."""

    sampled: Any  # the sampling result; its indices count the squares inside the image
    rows: Tensor  # (R',) rows in the output of the squares inside the image
    num_rows: int  # of the output


def sample_squares(
    flat_approxs: Tensor,
    inside_flags: Tensor,
    flat_squares: Tensor,
    gt_bboxes: Tensor,
    gt_bboxes_ignore: Tensor | None,
    img_meta: ImgMeta,
    assigner: Any,
    sampler: Any,
    unmap_outputs: bool,
) -> SampledSquares:
    """Assign squares by the overlaps of their approximations, and sample them.

    Args:
        flat_approxs: (R * approxs, 4).
        inside_flags: (R,) bool, which squares count.
        flat_squares: (R, 4).
        gt_bboxes: (G, 4).
        gt_bboxes_ignore: (G', 4) or None.
        img_meta: meta information of the image.
        assigner: an ``ApproxMaxIoUAssigner``.
        sampler: any sampler.
        unmap_outputs: the output has a row for each of the R squares, otherwise for those that count.
    """
    per_square = len(flat_approxs) // max(len(flat_squares), 1)
    inside = inside_flags.nonzero().squeeze(1)
    approxs, squares = flat_approxs.view(-1, per_square, 4)[inside].flatten(0, 1), flat_squares[inside]
    assigned = assigner.assign(approxs, squares, per_square, gt_bboxes, gt_bboxes_ignore)
    # samplers read the image's meta information
    sampled = sampler.sample(assigned, squares, gt_bboxes, img_metas=img_meta)
    count, rows = output_rows(inside, len(flat_squares), unmap_outputs)
    return SampledSquares(sampled, rows, count)


def shape_targets(squares: SampledSquares, like: Tensor) -> tuple[Tensor, ...]:
    """Shape targets of one image, of the type and device of ``like``.

    Returns:
        squares, their objects' boxes and weights, (R, 4) each, 0 but for positives; indices of positives and of
        negatives among the squares that count; the sampling result.
    """
    sampled, rows, count = squares
    anchors, gts, weights = (
        like.new_zeros(count, 4).index_copy(0, rows[sampled.pos_inds], values)
        for values in (sampled.pos_bboxes, sampled.pos_gt_bboxes, torch.ones_like(sampled.pos_bboxes))
    )
    return anchors, gts, weights, sampled.pos_inds, sampled.neg_inds, sampled


def shape_targets_of_batch(
    of_image: Callable[..., tuple[Tensor, ...]],
    approx_list: list[list[Tensor]],
    inside_flag_list: list[list[Tensor]],
    square_list: list[list[Tensor]],
    gt_bboxes_list: list[Tensor],
    img_metas: list[ImgMeta],
    gt_bboxes_ignore_list: list[Tensor] | None,
    unmap_outputs: bool,
) -> tuple:
    """Shape targets of a batch, by level.

    Args:
        of_image: gives what :func:`shape_targets` gives, from the flat values of one image.
        approx_list: N times L times (H * W * A * approxs, 4).
        inside_flag_list: N times L times bool (H * W * A,).
        square_list: N times L times (H * W * A, 4).
        gt_bboxes_list: N times (G, 4).
        img_metas: meta information of the N images.
        gt_bboxes_ignore_list: N times (G', 4), or None.
        unmap_outputs: handed on.

    Returns:
        squares, objects' boxes, weights (L times (N, H * W * A, 4)), and the numbers of positives and of negatives in
        the batch (each image counts at least one of both).
    """
    level_sizes = [len(squares) for squares in square_list[0]]
    *targets, pos_inds, neg_inds, _ = multi_apply(
        of_image,
        [torch.cat(levels) for levels in approx_list],
        [torch.cat(levels) for levels in inside_flag_list],
        [torch.cat(levels) for levels in square_list],
        gt_bboxes_list,
        gt_bboxes_ignore_list or [None] * len(img_metas),
        img_metas,
        unmap_outputs=unmap_outputs,
    )
    counts = sample_counts(pos_inds, neg_inds)
    return (*(images_to_levels(target, level_sizes) for target in targets), *counts)
