"""Best overlaps of many boxes with many ground truths, without the matrix of all pairs.

The matrix has a row for each ground truth and a column for each anchor: 2 * 268000 * 1000 numbers for two crowded
images, of which forty-nine of fifty are 0. Here the boxes are cut into blocks of neighbours, and only those pairs of a
block and a ground truth are compared that can meet. Anchors come row by row, so that a block is a short strip of the
image. Blocks that meet about as many ground truths go through one calculation.

Whatever the number of boxes and ground truths, a temporary holds at most ``2 * max(PAIRS, G)`` or ``BLOCK * G``
numbers, 4 for each box, or one for each pair of a block and a ground truth whose best overlap is in it: about one for
each ground truth, n * G / BLOCK where all boxes are one and the same.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from mmdet.core.bbox.iou_calculators.iou2d_calculator import bbox_overlaps, shared_length

BLOCK = 96  # boxes; small, since all of them are compared where one meets; a multiple of the processor's vectors
PAIRS = 2**18  # compared at once: small enough for a processor's cache
LEAST_PAIRS = 500_000  # below that the matrix is faster


class BestOverlaps(NamedTuple):
    """What an assigner asks the matrix of overlaps (G, n) for."""

    columns: Tensor  # (4, B, BLOCK) px, see in_blocks
    of_box: Tensor  # (n,) greatest overlap of each box
    gt_of_box: Tensor  # (n,) number of the first ground truth that it is with, from 0; where large enough, else 0
    of_gt: Tensor  # (G,) greatest overlap of each ground truth
    blocks: Tensor  # (T,) the blocks that have boxes of this overlap, where it is not 0 ...
    gts: Tensor  # (T,) ... and the ground truths that it belongs to


def best_overlaps(gt_bboxes: Tensor, bboxes: Tensor, least: float = 0.0) -> BestOverlaps:
    """Greatest overlaps, as the matrix of ``bbox_overlaps(gt_bboxes, bboxes)`` has them.

    Args:
        gt_bboxes: (G, 4) xyxy px, G > 0.
        bboxes: (n, 4) xyxy px; the nearer neighbours are in number, the faster.
        least: the overlap from which on it is asked which ground truth it is with.
    """
    columns, gt_columns = in_blocks(bboxes), gt_bboxes.t().contiguous()
    of_box = bboxes.new_zeros(columns.shape[1:])
    gt_of_box = torch.zeros(of_box.shape, dtype=torch.long)
    of_gt = gt_bboxes.new_zeros(len(gt_bboxes))
    best_blocks = []
    for blocks, gts in groups(columns, gt_bboxes):
        overlaps = bbox_overlaps(picked(gt_columns, gts), picked(columns, blocks))  # (b, g, BLOCK)
        # a block is in one group only, so that these rows are written once
        of_box[blocks] = best = overlaps.amax(1)
        rows, places = ((best >= least) & (best > 0)).nonzero(as_tuple=True)
        # argmax takes the first of equals, which the dense assigner takes as well
        first = overlaps[rows, :, places].argmax(1)
        gt_of_box[blocks[rows], places] = gts[rows, first]
        # a ground truth meets blocks of several groups: its maximum grows from group to group
        best = overlaps.amax(2)
        of_gt.scatter_reduce_(0, gts.flatten(), best.flatten(), 'amax')
        # the best so far; those that a later group beats fall out at the end
        rows, places = ((best >= of_gt.take(gts)) & (best > 0)).nonzero(as_tuple=True)
        best_blocks.append((blocks[rows], gts[rows, places], best[rows, places]))
    empty = gt_of_box.new_zeros(0)
    blocks, gts, best = (torch.cat(parts) for parts in zip((empty, empty, of_gt[:0]), *best_blocks))
    tied = best == of_gt[gts]  # with what was found later, too
    count = len(bboxes)
    return BestOverlaps(columns, of_box.flatten()[:count], gt_of_box.flatten()[:count], of_gt, blocks[tied], gts[tied])


def ranks_of_best_boxes(found: BestOverlaps, gt_bboxes: Tensor, ranks: Tensor, assign_all: bool) -> Tensor:
    """(n,) the greatest of the ``ranks`` among the ground truths that a box is a best one of; 0 for others.

    Args:
        found: by :func:`best_overlaps`; n > 0.
        gt_bboxes: (G, 4) xyxy px.
        ranks: (G,) long; a ground truth of rank 0 is left out.
        assign_all: take all boxes of equally best overlap, or the first one only.
    """
    out = torch.zeros(found.columns[0].numel(), dtype=torch.long)
    first_box = torch.where(found.of_gt > 0, len(out), 0)  # one that meets nothing is equally far from all boxes
    needed = ranks[found.gts] > 0
    blocks, gts = (numbers[needed].split(max(PAIRS // BLOCK, 1)) for numbers in (found.blocks, found.gts))
    for some, with_gts in zip(blocks, gts):
        # computed again and not kept: one overlap for each box of a block would be as large as the matrix
        overlaps = bbox_overlaps(gt_bboxes[with_gts, None], picked(found.columns, some)).squeeze(1)
        rows, places = (overlaps == found.of_gt[with_gts, None]).nonzero(as_tuple=True)
        boxes, of_gts = some[rows] * BLOCK + places, with_gts[rows]
        if assign_all:
            out.scatter_reduce_(0, boxes, ranks[of_gts], 'amax')
        else:
            first_box.scatter_reduce_(0, of_gts, boxes, 'amin')
    if assign_all:
        # one that meets no box is equally far, at 0, from all of them
        out.clamp_(min=int(torch.where(found.of_gt > 0, 0, ranks).amax()))
    else:
        out.scatter_reduce_(0, first_box[ranks > 0], ranks[ranks > 0], 'amax')
    return out[: len(found.of_box)]


def in_blocks(bboxes: Tensor) -> Tensor:
    """(n, 4) -> (4, B, BLOCK) coordinates block by block, the last block filled up with the last box."""
    count = -(-len(bboxes) // BLOCK)
    columns = bboxes.new_empty(4, count * BLOCK)
    columns[:, : len(bboxes)] = bboxes.t()
    columns[:, len(bboxes) :] = bboxes[-1:].t()
    return columns.view(4, count, BLOCK)


def picked(columns: Tensor, numbers: Tensor) -> Tensor:
    """Coordinates (4, m, ...) of boxes or blocks -> those of the given numbers: (*numbers.shape, ..., 4)."""
    found = columns.index_select(1, numbers.flatten())
    return found.view(4, *numbers.shape, *columns.shape[2:]).movedim(0, -1)


def groups(columns: Tensor, gt_bboxes: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Groups of blocks, and for each block the ground truths that may meet its boxes.

    Args:
        columns: (4, B, BLOCK) px, see :func:`in_blocks`.
        gt_bboxes: (G, 4) px.

    Yields:
        Numbers of blocks (b,), each block once in all; numbers of ground truths (b, g), ascending in a row, the last
        one repeated where a block has fewer than others of its group. Unless b is 1, b * g * BLOCK <= PAIRS.
    """
    # which blocks meet which ground truths is a matrix again, of blocks: so many rows of it at once as PAIRS allow
    step = max(PAIRS // len(gt_bboxes), 1)
    for start in range(0, columns.size(1), step):
        rows, gts = meetings(columns[:, start : start + step], gt_bboxes)
        blocks, counts = rows.unique_consecutive(return_counts=True)
        offsets = counts.cumsum(0) - counts
        # blocks that meet about as many ground truths stand together: little of the filled-up table is repetition
        counts, order = counts.sort(descending=True)
        blocks, offsets, end = blocks[order] + start, offsets[order], 0
        while end < len(blocks):
            first, most = end, int(counts[end])
            end += max(PAIRS // (most * BLOCK), 1)
            places = torch.minimum(torch.arange(most), counts[first:end, None] - 1)
            yield blocks[first:end], gts[offsets[first:end, None] + places]


def meetings(columns: Tensor, gt_bboxes: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers of blocks (m,), ascending, and of the ground truths (m,) that reach into the hull of their boxes."""
    hulls = torch.cat([columns[:2].amin(2), columns[2:].amax(2)]).t()[:, None]
    blocks, gts = (torch.min(*(shared_length(hulls, gt_bboxes, axis) for axis in (0, 1))) > 0).nonzero(as_tuple=True)
    return blocks, gts
