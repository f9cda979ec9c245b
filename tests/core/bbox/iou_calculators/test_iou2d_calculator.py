"""Overlaps against numbers computed by hand."""

import pytest
import torch
from torch.testing import assert_close

from mmdet.core.bbox.builder import build_assigner
from mmdet.core.bbox.demodata import random_boxes
from mmdet.core.bbox.iou_calculators import BboxOverlaps2D, bbox_overlaps, build_iou_calculator

FIRST = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30]])
SECOND = torch.tensor([[0.0, 0, 10, 20], [0, 5, 5, 10]])


@pytest.mark.parametrize(
    'mode, want',
    [
        ('iou', [[0.5, 0.25], [0.0, 0.0]]),
        ('iof', [[1.0, 0.25], [0.0, 0.0]]),
        ('giou', [[0.5, 0.25], [-2 / 3, -(750 - 125) / 750]]),
    ],
)
def test_bbox_overlaps_pairs(mode, want):
    assert_close(bbox_overlaps(FIRST, SECOND, mode), torch.tensor(want))


@pytest.mark.parametrize('mode', ['iou', 'iof', 'giou'])
def test_bbox_overlaps_aligned_is_the_diagonal_and_batch_the_loop(mode):
    first, second = random_boxes(12, 8, 0).reshape(2, 6, 4), random_boxes(12, 8, 1).reshape(2, 6, 4)
    batch = bbox_overlaps(first, second, mode)
    assert_close(batch, torch.stack([bbox_overlaps(a, b, mode) for a, b in zip(first, second)]))
    assert_close(bbox_overlaps(first, second, mode, is_aligned=True), batch.diagonal(dim1=-2, dim2=-1))


def test_bbox_overlaps_empty_shapes():
    none = torch.zeros(0, 4)
    assert bbox_overlaps(none, SECOND).shape == (0, 2)
    assert bbox_overlaps(FIRST, none, 'giou').shape == (2, 0)
    assert bbox_overlaps(none, none, is_aligned=True).shape == (0,)


def test_bbox_overlaps_boxes_without_area_give_zero():
    point = torch.tensor([[3.0, 3, 3, 3]])
    assert bbox_overlaps(point, point).tolist() == [[0.0]]


@pytest.mark.parametrize('mode', ['iou', 'giou'])
def test_bbox_overlaps_gradcheck(mode):
    first, second = random_boxes(3, 5, 2).double().requires_grad_(), random_boxes(3, 5, 3).double()
    assert torch.autograd.gradcheck(lambda boxes: bbox_overlaps(boxes, second, mode, is_aligned=True), first)


@pytest.mark.parametrize(
    'args, message',
    [
        ((FIRST, SECOND, 'iuo'), r"one of \('iou', 'iof', 'giou'\), got 'iuo'"),
        ((FIRST[:, :3], SECOND), r'expected \(\.\.\., 4\) xyxy boxes, got \(2, 3\)'),
        ((FIRST[None], SECOND), 'leading dimensions differ'),
        ((FIRST, SECOND[:1], 'iou', True), 'as many boxes on both sides'),
    ],
)
def test_bbox_overlaps_wrong_arguments_are_named(args, message):
    with pytest.raises(ValueError, match=message):
        bbox_overlaps(*args)


def test_calculator_leaves_scores_out_and_computes_in_half():
    scored = torch.cat([FIRST * 50, torch.ones(2, 1)], dim=1)
    exact = BboxOverlaps2D()(scored, SECOND * 50)
    assert_close(exact, bbox_overlaps(FIRST, SECOND))
    half = build_iou_calculator(dict(type='BboxOverlaps2D', scale=50.0, dtype='fp16'))
    assert half(scored, SECOND * 50).dtype == torch.float32
    assert_close(half(scored, SECOND * 50), exact, rtol=1e-3, atol=1e-3)


def test_no_boxes_may_be_an_empty_tensor_of_one_dimension():
    boxes, nothing = torch.rand(3, 4), torch.empty(0)
    assert bbox_overlaps(nothing, boxes).shape == (0, 3)
    assert bbox_overlaps(boxes, nothing).shape == (3, 0)
    for kind in ('MaxIoUAssigner', 'ApproxMaxIoUAssigner'):
        assigner = build_assigner(dict(type=kind, pos_iou_thr=0.5, neg_iou_thr=0.5))
        squares = (boxes, 1) if kind.startswith('Approx') else ()
        assert assigner.assign(boxes, *squares, nothing).gt_inds.tolist() == [0, 0, 0]
