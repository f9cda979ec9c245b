"""Assigners besides the one by overlap: small scenes solved by hand, and images without objects or boxes."""

import itertools

import pytest
import torch
from torch.testing import assert_close

from mmdet.core.anchor import AnchorGenerator, MlvlPointGenerator
from mmdet.core.bbox import build_assigner
from mmdet.core.bbox.assigners.center_prior import depth_inside, resolve_by_overlap
from mmdet.core.bbox.assigners.hungarian_assigner import match_at_least_cost, matched_result
from mmdet.core.bbox.assigners.region_assigner import leave_out_marked, object_levels
from mmdet.core.bbox.assigners.uniform_assigner import last_match
from mmdet.core.bbox.demodata import random_boxes
from mmdet.core.bbox.transforms import bbox_xyxy_to_cxcywh

META = dict(img_shape=(64, 64, 3))
SIZES = [(8, 8), (4, 4)]
ANCHORS = AnchorGenerator([8, 16], [1.0], [1.0], center_offset=0.5).grid_priors(SIZES, device='cpu')
FLAT = torch.cat(ANCHORS)  # 64 squares of 8 px and 16 of 16 px, side by side
POINTS = torch.cat(MlvlPointGenerator([8, 16]).grid_priors(SIZES, device='cpu', with_stride=True))


def call(name, gts, labels, flat=FLAT):
    """Run an assigner on squares that are predicted as they are, with even scores."""
    n = len(flat)
    scores, points = torch.full((n, 3), 0.5), POINTS[:n]
    flags, levels = torch.ones(n, dtype=torch.bool), [min(n, 64), max(n - 64, 0)]
    split = list(flat.split(levels))
    masks, gt_masks = torch.zeros(n, 4, 4), torch.zeros(len(gts), 4, 4)
    configs = {
        'ApproxMaxIoUAssigner': (dict(pos_iou_thr=0.5, neg_iou_thr=0.4), (flat, flat, 1, gts, None, labels)),
        'ATSSAssigner': (dict(topk=9), (flat, levels, gts, None, labels)),
        'CenterRegionAssigner': (dict(pos_scale=0.2, neg_scale=0.5), (flat, gts, None, labels)),
        'GridAssigner': (dict(pos_iou_thr=0.5, neg_iou_thr=0.5), (flat, flags, gts, labels)),
        'HungarianAssigner': ({}, (bbox_xyxy_to_cxcywh(flat / 64), scores, gts, labels, META)),
        'MaskHungarianAssigner': ({}, (scores, masks, labels, gt_masks, META)),
        'MaxIoUAssigner': (dict(pos_iou_thr=0.5, neg_iou_thr=0.4), (flat, gts, None, labels)),
        'PointAssigner': (dict(scale=1, pos_num=1), (points[:, :3], gts, None, labels)),
        'RegionAssigner': ({}, (split, flags.split(levels), gts, META, SIZES, 1, [8, 16], None, labels)),
        'SimOTAAssigner': ({}, (scores, points, flat, gts, labels)),
        'TaskAlignedAssigner': (dict(topk=1), (scores, flat, flat, gts, None, labels)),
        'UniformAssigner': (
            dict(pos_ignore_thr=0.15, neg_ignore_thr=0.7, match_times=1),
            (flat, flat, gts, None, labels),
        ),
    }
    kwargs, args = configs[name]
    return build_assigner(dict(type=name, **kwargs)).assign(*args)


NAMES = [
    'ApproxMaxIoUAssigner', 'ATSSAssigner', 'CenterRegionAssigner', 'GridAssigner', 'HungarianAssigner',
    'MaskHungarianAssigner', 'MaxIoUAssigner', 'PointAssigner', 'RegionAssigner', 'SimOTAAssigner',
    'TaskAlignedAssigner', 'UniformAssigner',
]  # fmt: skip


@pytest.mark.parametrize('name', [name for name in NAMES if name not in ('MaskHungarianAssigner', 'ATSSAssigner')])
def test_object_equal_to_an_anchor_is_found_by_it(name):
    gts, labels = FLAT[[27, 70]], torch.tensor([2, 1])
    result = call(name, gts, labels)
    assert result.gt_inds[[27, 70]].tolist() == [1, 2]
    assert result.labels[[27, 70]].tolist() == [2, 1]
    assert torch.equal(result.labels >= 0, result.gt_inds > 0)


@pytest.mark.parametrize('name', NAMES)
def test_image_without_objects_is_all_background(name):
    result = call(name, torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))
    assert result.num_gts == 0
    assert result.gt_inds.tolist() == [0] * 80 and result.labels.tolist() == [-1] * 80


@pytest.mark.parametrize('name', NAMES)
def test_image_without_boxes_is_an_empty_result(name):
    result = call(name, random_boxes(2, 60, 0), torch.tensor([0, 1]), FLAT[:0])
    assert result.num_gts == 2
    assert result.gt_inds.shape == result.labels.shape == (0,)
    assert result.gt_inds.dtype == torch.long


@pytest.mark.parametrize('shape', [(4, 3), (3, 4)])
def test_match_at_least_cost_equals_trying_all(shape):
    cost = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    got, rows = match_at_least_cost(cost)
    assert torch.equal(rows.positives, got.nonzero()[:, 0]) and torch.equal(rows.negatives, (got == 0).nonzero()[:, 0])
    pairs = [(row, int(gt) - 1) for row, gt in enumerate(got) if gt > 0]
    wide = cost if shape[0] >= shape[1] else cost.T
    tries = itertools.permutations(range(wide.size(0)), wide.size(1))
    best = min(float(wide[list(rows), range(wide.size(1))].sum()) for rows in tries)
    assert len(pairs) == min(shape) and len({gt for _, gt in pairs}) == len(pairs)
    assert sum(float(cost[p]) for p in pairs) == pytest.approx(best)


def test_rows_of_a_matching_are_known():
    result = matched_result(torch.tensor([[3.0], [1.0], [2.0]]), torch.tensor([7]))
    assert result.rows_known and [rows.tolist() for rows in result.rows] == [[1], [0, 2]]
    assert result.gt_inds.tolist() == [0, 1, 0] and result.labels.tolist() == [-1, 7, -1]


@pytest.mark.parametrize('name', ['HungarianAssigner', 'RegionAssigner'])
def test_assigners_that_cannot_ignore_say_so(name):
    assigner = build_assigner(dict(type=name))
    args = [None] * (5 if name == 'HungarianAssigner' else 7)
    with pytest.raises(NotImplementedError, match=f'{name} knows no ignored regions'):
        assigner.assign(*args, gt_bboxes_ignore=torch.zeros(1, 4))


def test_atss_takes_squares_around_the_centre():
    result = call('ATSSAssigner', torch.tensor([[8.0, 8, 32, 32]]), torch.tensor([1]))
    inside = depth_inside((FLAT[:, :2] + FLAT[:, 2:]) / 2, torch.tensor([[8.0, 8, 32, 32]]))[:, 0] > 0
    positive = result.gt_inds > 0
    assert positive.any() and not (positive & ~inside).any()
    assert (result.max_overlaps[~positive] == -1e8).all()
    overlaps = result.max_overlaps[positive]
    assert_close(overlaps, torch.full_like(overlaps, 256 / (24 * 24)))  # the 16 px squares win against 8 px ones


def test_atss_ignored_squares_are_left_out():
    assigner = build_assigner(dict(type='ATSSAssigner', topk=4, ignore_iof_thr=0.5))
    gts, ignore = torch.tensor([[0.0, 0, 16, 16]]), torch.tensor([[32.0, 32, 64, 64]])
    result = assigner.assign(FLAT, [64, 16], gts, ignore, torch.tensor([0]))
    assert (result.gt_inds == -1).nonzero()[:, 0].tolist() == [
        *(8 * r + c for r in range(4, 8) for c in range(4, 8))
    ] + [64 + 4 * r + c for r in (2, 3) for c in (2, 3)]


def test_atss_with_alpha_needs_predictions():
    assigner = build_assigner(dict(type='ATSSAssigner', topk=4, alpha=0.8))
    with pytest.raises(ValueError, match='needs cls_scores, bbox_preds and gt_labels'):
        assigner.assign(FLAT, [64, 16], FLAT[:1], None, torch.tensor([0]))


def test_resolve_by_overlap_chooses_among_candidates_only():
    candidates = torch.tensor([[True, True], [True, False], [False, False]])
    overlaps = torch.tensor([[0.2, 0.5], [0.3, 0.9], [0.8, 0.8]])
    best, gt_inds = resolve_by_overlap(candidates, overlaps)
    assert gt_inds.tolist() == [2, 1, 0]
    assert_close(best, torch.tensor([0.5, 0.3, -1e8]))


def test_task_aligned_prefers_score_times_overlap():
    boxes, gts = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8]]), torch.tensor([[0.0, 0, 10, 10]])
    assigner = build_assigner(dict(type='TaskAlignedAssigner', topk=1))
    scores = torch.tensor([[0.1], [0.9]])
    result = assigner.assign(scores, boxes, boxes, gts, None, torch.tensor([0]), alpha=1, beta=1)
    assert result.gt_inds.tolist() == [0, 1]
    assert_close(result.assign_metrics, torch.tensor([0.0, 0.9 * 0.8]))
    strict = assigner.assign(scores, boxes, boxes, gts, None, torch.tensor([0]), alpha=1, beta=20)
    assert strict.gt_inds.tolist() == [1, 0]


def test_grid_only_responsible_boxes_are_positive():
    gts, flags = FLAT[:1] + 1, torch.zeros(80, dtype=torch.uint8)
    flags[9] = 1
    assigner = build_assigner(dict(type='GridAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5))
    result = assigner.assign(FLAT, flags, gts, torch.tensor([2]))
    assert result.gt_inds[:2].tolist() == [-1, 0]  # overlaps enough, but another cell is responsible
    assert result.gt_inds[9] == 1 and result.max_overlaps[0] == -1


def test_center_region_smaller_object_gets_the_core():
    gts = torch.tensor([[0.0, 0, 64, 64], [24, 24, 40, 40]])
    assigner = build_assigner(dict(type='CenterRegionAssigner', pos_scale=0.2, neg_scale=0.4))
    result = assigner.assign(FLAT[:64], gts, None, torch.tensor([0, 1]))
    grid = result.gt_inds.reshape(8, 8)
    assert grid[3, 3] == 2 and grid[0, 0] == 0
    shadowed = result.get_extra_property('shadowed_labels').tolist()
    assert [27, 0] in shadowed and [27, 1] not in shadowed


@pytest.mark.parametrize('dominate, want', [(True, 2), (False, 0)])
def test_center_region_shadow_of_the_same_class(dominate, want):
    gts = torch.tensor([[0.0, 0, 64, 64], [24, 24, 40, 40]])
    config = dict(type='CenterRegionAssigner', pos_scale=0.2, neg_scale=0.4, foreground_dominate=dominate)
    result = build_assigner(config).assign(FLAT[:64], gts, None, torch.tensor([1, 1]))
    assert result.gt_inds[27] == want
    assert ([27, 1] in result.get_extra_property('shadowed_labels').tolist()) is not dominate


def test_point_goes_to_the_nearer_object():
    gts = torch.tensor([[0.0, 0, 8, 8], [2, 2, 8, 8]])
    result = build_assigner(dict(type='PointAssigner', scale=1, pos_num=1)).assign(
        torch.tensor([[4.9, 4.9, 8], [40, 40, 8], [5, 5, 16]]), gts, None, torch.tensor([0, 1])
    )
    assert result.gt_inds.tolist() == [2, 0, 0]


def test_object_levels_double_with_the_side():
    boxes = torch.tensor([[0.0, 0, side, side] for side in (1, 32, 64, 128, 999)])
    assert object_levels(boxes, 32, 3).tolist() == [0, 0, 1, 2, 2]


def test_region_centre_and_ring_by_hand():
    result = call('RegionAssigner', torch.tensor([[16.0, 16, 32, 32]]), torch.tensor([0]))
    assert result.gt_inds[64:].reshape(4, 4)[:3, :3].tolist() == [[-1, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert result.gt_inds[:64].reshape(8, 8)[:7, :7].flatten().tolist() == [-1, -1] + [0] * 47
    large = call('RegionAssigner', torch.tensor([[0.0, 0, 64, 64]]), torch.tensor([0]))
    assert large.gt_inds[64:].reshape(4, 4)[:3, :3].tolist() == [[-1, 0, 0], [0, -1, -1], [0, -1, -1]]


def test_region_marks_of_other_levels_are_row_numbers():
    assert leave_out_marked(torch.tensor([5, 6, 7]), torch.tensor([False, False, True])).tolist() == [-1, -1, 7]
    assert leave_out_marked(torch.tensor([5, 6, 7]), torch.tensor([False] * 3)).tolist() == [-1, 6, 7]


def test_sim_ota_number_of_positives_is_the_sum_of_overlaps():
    boxes = torch.tensor([[0.0, 0, 16, 16]]).repeat(4, 1)
    boxes[3] += 1
    priors = torch.tensor([[8.0, 8, 8, 8]]).repeat(4, 1)
    scores = torch.tensor([[0.9], [0.8], [0.1], [0.9]])
    gts = torch.tensor([[0.0, 0, 16, 16]])
    result = build_assigner(dict(type='SimOTAAssigner')).assign(scores, priors, boxes, gts, torch.tensor([0]))
    assert (result.gt_inds > 0).sum() == 3  # int(1 + 1 + 1 + 225 / 287)
    assert result.gt_inds[0] == 1


def test_sim_ota_far_priors_are_not_considered():
    assigner = build_assigner(dict(type='SimOTAAssigner', center_radius=1))
    priors = torch.tensor([[8.0, 8, 4, 4], [14, 14, 4, 4], [40, 40, 4, 4], [18, 8, 12, 12]])
    valid, both = assigner.get_in_gt_and_in_center_info(priors, torch.tensor([[0.0, 0, 16, 16]]))
    assert valid.tolist() == [True, True, False, True]
    assert both.tolist() == [[True], [False], [False]]


def test_uniform_last_match_stays():
    got = last_match(torch.tensor([2, 0, 2]), torch.tensor([5, 6, 7]), torch.tensor([0, -1, 0]))
    assert got.tolist() == [6, -1, 7]


def test_uniform_keeps_the_gradient_of_predictions():
    preds = FLAT.clone().requires_grad_()
    assigner = build_assigner(dict(type='UniformAssigner', pos_ignore_thr=0.15, neg_ignore_thr=0.7, match_times=2))
    result = assigner.assign(preds, FLAT, FLAT[[5]], None, torch.tensor([0]))
    boxes = result.get_extra_property('pos_predicted_boxes')
    assert boxes.shape == result.get_extra_property('target_boxes').shape == (4, 4)
    boxes.sum().backward()
    assert preds.grad.sum() == 16


@pytest.mark.parametrize('assign_all', [True, False])
def test_ascend_batch_equals_each_image(assign_all):
    boxes, gts, labels = (
        random_boxes(60, 20, 0).reshape(2, 30, 4),
        random_boxes(8, 20, 1).reshape(2, 4, 4),
        torch.arange(8),
    )
    thresholds = dict(pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0.1, gt_max_assign_all=assign_all)
    batch = build_assigner(dict(type='AscendMaxIoUAssigner', **thresholds)).assign(
        boxes, gts, None, labels.reshape(2, 4)
    )
    for i in range(2):
        single = build_assigner(dict(type='MaxIoUAssigner', **thresholds)).assign(
            boxes[i], gts[i], None, labels[4 * i :][:4]
        )
        positive = batch.batch_pos_mask[i] == 1
        assert torch.equal(positive, single.gt_inds > 0) and positive.any()
        assert torch.equal(batch.batch_neg_mask[i] == 1, single.gt_inds == 0)
        assert torch.equal(batch.batch_anchor_gt_labels[i][positive], single.labels[positive])


def test_ascend_masked_boxes_are_neither_positive_nor_negative():
    assigner = build_assigner(dict(type='AscendMaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4))
    mask = torch.tensor([[True, False]])
    result = assigner.assign(FLAT[None, :2], FLAT[None, :1], batch_bboxes_ignore_mask=mask)
    assert result.batch_pos_mask.tolist() == [[1, 0]] and result.batch_neg_mask.tolist() == [[0, 0]]


def test_approx_takes_the_best_of_its_boxes():
    squares = FLAT[:2]
    approxs = torch.stack([squares[0] + 20, squares[0], squares[1] + 20, squares[1] + 30])
    assigner = build_assigner(dict(type='ApproxMaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4))
    result = assigner.assign(approxs, squares, 2, FLAT[:1], None, torch.tensor([1]))
    assert result.gt_inds.tolist() == [1, 0]
    assert result.max_overlaps.tolist() == [1.0, 0.0]
