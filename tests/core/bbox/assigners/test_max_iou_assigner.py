"""Assignment by overlap, against hand-made overlaps and against a loop."""

import pytest
import torch
from torch.testing import assert_close

from mmdet.core.bbox import build_assigner
from mmdet.core.bbox.assigners.max_iou_assigner import MaxIoUAssigner, low_quality_matches
from mmdet.core.bbox.demodata import random_boxes

OVERLAPS = torch.tensor(
    [
        [0.8, 0.45, 0.2, 0.0, 0.3],
        [0.1, 0.00, 0.3, 0.0, 0.3],
    ]
)


def assign(overlaps=OVERLAPS, gt_labels=None, **kwargs):
    return MaxIoUAssigner(0.5, kwargs.pop('neg_iou_thr', 0.4), **kwargs).assign_wrt_overlaps(overlaps, gt_labels)


@pytest.mark.parametrize(
    'kwargs, want',
    [
        (dict(match_low_quality=False), [1, -1, 0, 0, 0]),
        (dict(match_low_quality=False, neg_iou_thr=(0.1, 0.4)), [1, -1, 0, -1, 0]),
        (dict(min_pos_iou=0.3), [1, -1, 2, 0, 2]),
        (dict(min_pos_iou=0.3, gt_max_assign_all=False), [1, -1, 2, 0, 0]),
        (dict(min_pos_iou=0.31), [1, -1, 0, 0, 0]),
    ],
)
def test_assign_by_hand(kwargs, want):
    result = assign(gt_labels=torch.tensor([7, 9]), **kwargs)
    assert result.gt_inds.tolist() == want
    assert_close(result.max_overlaps, torch.tensor([0.8, 0.45, 0.3, 0.0, 0.3]))
    assert result.labels.tolist() == [{1: 7, 2: 9}.get(i, -1) for i in want]


def test_thresholds_belong_to_the_higher_side():
    overlaps = torch.tensor([[0.25, 0.5, 0.125, 0.0]])
    result = assign(overlaps, match_low_quality=False, neg_iou_thr=0.25)
    assert result.gt_inds.tolist() == [-1, 1, 0, 0]
    assert assign(overlaps, match_low_quality=False, neg_iou_thr=(0.125, 0.25)).gt_inds.tolist() == [-1, 1, 0, -1]


@pytest.mark.parametrize('assign_all', [True, False])
def test_low_quality_matches_last_ground_truth_wins_as_in_a_loop(assign_all):
    overlaps = torch.randint(0, 4, (9, 7), generator=torch.Generator().manual_seed(0)) / 4
    want = torch.zeros(7, dtype=torch.long)
    for i, row in enumerate(overlaps):
        if row.max() >= 0.5:
            want[row == row.max() if assign_all else row.argmax()] = i + 1
    got = low_quality_matches(overlaps, 0.5, assign_all)
    assert got.tolist() == want.tolist()
    assert len(set(got.tolist())) > 2


def test_ignored_regions_leave_boxes_out():
    bboxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 30], [50, 50, 60, 60]])
    gts, ignore = torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[0.0, 0, 10, 12]])
    kwargs = dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5, match_low_quality=False)
    by_box = build_assigner(dict(ignore_iof_thr=0.5, **kwargs)).assign(bboxes, gts, ignore)
    assert by_box.gt_inds.tolist() == [-1, 0, 0]
    by_region = build_assigner(dict(ignore_iof_thr=0.9, ignore_wrt_candidates=False, **kwargs))
    assert by_region.assign(bboxes, gts, ignore).gt_inds.tolist() == [1, -1, 0]
    assert by_region.assign(bboxes, gts, ignore[:0]).gt_inds.tolist() == [1, 0, 0]
    assert build_assigner(kwargs).assign(bboxes, gts, ignore).gt_inds.tolist() == [1, 0, 0]


def test_no_ground_truth_is_all_background():
    result = MaxIoUAssigner(0.5, 0.4).assign(random_boxes(5, 9, 0), torch.zeros(0, 4), None, torch.zeros(0).long())
    assert result.gt_inds.tolist() == [0] * 5
    assert result.labels.tolist() == [-1] * 5
    assert result.max_overlaps.tolist() == [0.0] * 5
    assert MaxIoUAssigner(0.5, 0.4).assign(random_boxes(5, 9, 0), torch.zeros(0, 4)).labels is None


def test_no_box_is_an_empty_result():
    result = MaxIoUAssigner(0.5, 0.4).assign(torch.zeros(0, 4), random_boxes(3, 9, 0), None, torch.arange(3))
    assert (result.num_gts, result.num_preds) == (3, 0)
    assert result.gt_inds.dtype == result.labels.dtype == torch.long


def test_gpu_assign_thr_changes_no_number():
    bboxes, gts, ignore = random_boxes(50, 20, 1), random_boxes(6, 20, 2), random_boxes(2, 20, 3)
    plain, by_cpu = (
        MaxIoUAssigner(0.5, 0.3, 0.1, ignore_iof_thr=0.5, gpu_assign_thr=thr).assign(
            bboxes, gts, ignore, torch.arange(6)
        )
        for thr in (-1, 2)
    )
    assert torch.equal(plain.gt_inds, by_cpu.gt_inds) and torch.equal(plain.labels, by_cpu.labels)
    assert set(plain.gt_inds.tolist()) >= {-1, 0, 1}


def test_assign_order_of_boxes_does_not_matter():
    bboxes, gts = random_boxes(40, 20, 4), random_boxes(5, 20, 5)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    assigner = MaxIoUAssigner(0.5, 0.4, 0.1)
    want = assigner.assign(bboxes, gts, None, torch.arange(5))
    got = assigner.assign(bboxes[order], gts, None, torch.arange(5))
    assert torch.equal(got.gt_inds, want.gt_inds[order]) and torch.equal(got.labels, want.labels[order])
