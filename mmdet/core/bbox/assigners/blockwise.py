"""Best overlaps of many boxes with many ground truths, without the matrix of all pairs.

The matrix has a row for each ground truth and a column for each anchor: 2 * 268000 * 1000 numbers for two crowded
images. Here the boxes are walked through in blocks that fit a processor's cache, and in a block only the ground truths
that reach into the block's hull are compared. Anchors come row by row, so that a block is a strip of the image.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from mmdet.core.bbox.iou_calculators.iou2d_calculator import bbox_overlaps

BLOCK = 4096  # boxes
LEAST_PAIRS = 1_000_000  # below that the matrix is faster


class BestOverlaps(NamedTuple):
    """What an assigner asks the matrix of overlaps (G, n) for."""

    of_box: Tensor  # (n,) greatest overlap of each box
    gt_of_box: Tensor  # (n,) number of the ground truth that it is with, from 0
    of_gt: Tensor  # (G,) greatest overlap of each ground truth
    box_of_gt: Tensor  # (G,) the first box that it is with
    blocks: list['_Block']


class _Block(NamedTuple):
    start: int
    gts: Tensor  # (g,) numbers of the ground truths that reach into it
    of_gt: Tensor  # (g,) their greatest overlaps in it


def best_overlaps(gt_bboxes: Tensor, bboxes: Tensor) -> BestOverlaps:
    """Greatest overlaps, as the matrix of ``bbox_overlaps(gt_bboxes, bboxes)`` has them.

    Args:
        gt_bboxes: (G, 4) xyxy px, G > 0.
        bboxes: (n, 4) xyxy px, n > 0; the nearer neighbours are in number, the faster.
    """
    of_box, gt_of_box = bboxes.new_zeros(len(bboxes)), torch.zeros(len(bboxes), dtype=torch.long)
    of_gt, box_of_gt = gt_bboxes.new_zeros(len(gt_bboxes)), torch.zeros(len(gt_bboxes), dtype=torch.long)
    blocks = []
    for start in range(0, len(bboxes), BLOCK):
        part = bboxes[start : start + BLOCK]
        low, high = part[:, :2].amin(0), part[:, 2:].amax(0)
        gts = ((gt_bboxes[:, :2] < high) & (gt_bboxes[:, 2:] > low)).all(1).nonzero().squeeze(1)
        if not len(gts):
            continue
        overlaps = bbox_overlaps(gt_bboxes[gts], part)
        of_box[start : start + BLOCK], rows = overlaps.max(dim=0)
        gt_of_box[start : start + BLOCK] = gts[rows]
        best, columns = overlaps.max(dim=1)
        better = best > of_gt[gts]
        of_gt[gts[better]], box_of_gt[gts[better]] = best[better], columns[better] + start
        blocks.append(_Block(start, gts, best))
    return BestOverlaps(of_box, gt_of_box, of_gt, box_of_gt, blocks)


def ranks_of_best_boxes(found: BestOverlaps, gt_bboxes: Tensor, bboxes: Tensor, ranks: Tensor) -> Tensor:
    """(n,) the greatest of the ``ranks`` (G,) among the ground truths that a box is a best one of; 0 for others."""
    out = torch.zeros(len(bboxes), dtype=torch.long)
    for start, gts, best in found.blocks:
        gts = gts[(best == found.of_gt[gts]) & (ranks[gts] > 0)]
        if not len(gts):
            continue
        overlaps = bbox_overlaps(gt_bboxes[gts], bboxes[start : start + BLOCK])
        is_best = overlaps == found.of_gt[gts, None]
        out[start : start + BLOCK] = torch.where(is_best, ranks[gts, None], 0).amax(dim=0)
    return out
