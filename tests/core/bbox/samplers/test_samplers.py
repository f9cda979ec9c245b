"""Samplers: counts, order, evenness."""

import pytest
import torch

from mmdet.core.bbox import build_sampler
from mmdet.core.bbox.assigners import AssignResult
from mmdet.core.bbox.demodata import random_boxes
from mmdet.core.bbox.samplers import RandomSampler, SamplingResult
from mmdet.core.bbox.samplers.choice import at_most, balanced_choice, random_choice

SAMPLERS = {
    'random': dict(type='RandomSampler'),
    'instance': dict(type='InstanceBalancedPosSampler'),
    'iou': dict(type='IoUBalancedNegSampler', floor_thr=0.1, floor_fraction=0.5),
    'combined': dict(
        type='CombinedSampler',
        pos_sampler=dict(type='InstanceBalancedPosSampler'),
        neg_sampler=dict(type='IoUBalancedNegSampler'),
    ),
}


def assigned(gt_inds, num_gts=2, overlaps=None):
    gt_inds = torch.tensor(gt_inds, dtype=torch.long)
    overlaps = torch.zeros(len(gt_inds)) if overlaps is None else overlaps
    return AssignResult(num_gts, gt_inds, overlaps, gt_inds - 1)


def sample(name, gt_inds, num_gts=2, overlaps=None, **kwargs):
    kwargs = dict(num=8, pos_fraction=0.5, add_gt_as_proposals=False) | kwargs
    result, gts = assigned(gt_inds, num_gts, overlaps), random_boxes(num_gts, 9, 1)
    sampler = build_sampler(SAMPLERS[name] | kwargs, context=None)
    return sampler.sample(result, random_boxes(len(gt_inds), 9, 0), gts, torch.arange(num_gts), img_metas={})


@pytest.mark.parametrize('name', SAMPLERS)
@pytest.mark.parametrize(
    'gt_inds, kwargs, pos, neg',
    [
        ([1, 2] * 10 + [0] * 20 + [-1] * 5, {}, 4, 4),
        ([1] + [0] * 20, {}, 1, 7),
        ([1] * 9 + [0] * 2, {}, 4, 2),
        ([1] + [0] * 20, dict(neg_pos_ub=3), 1, 3),
        ([0] * 20, dict(neg_pos_ub=3), 0, 3),
        ([-1] * 5, {}, 0, 0),
        ([1, 2] + [0] * 20, dict(add_gt_as_proposals=True), 4, 4),
    ],
)
def test_samplers_respect_their_counts(name, gt_inds, kwargs, pos, neg):
    overlaps = torch.linspace(0, 0.4, len(gt_inds))
    result = sample(name, gt_inds, overlaps=overlaps, **kwargs)
    assert (len(result.pos_inds), len(result.neg_inds)) == (pos, neg)
    for inds in (result.pos_inds, result.neg_inds):
        assert torch.equal(inds, inds.unique())
    offset = 2 if kwargs.get('add_gt_as_proposals') else 0
    everything = torch.tensor([1, 2][:offset] + gt_inds)
    assert (everything[result.pos_inds] > 0).all() and (everything[result.neg_inds] == 0).all()


def test_sampling_result_fields_by_hand():
    bboxes, gts = random_boxes(3, 9, 0), random_boxes(2, 9, 1)
    scored = torch.cat([bboxes, torch.ones(3, 1)], dim=1)
    result = RandomSampler(10, 0.5).sample(assigned([0, 2, -1]), scored, gts, torch.tensor([4, 6]))
    assert result.pos_inds.tolist() == [0, 1, 3] and result.neg_inds.tolist() == [2]
    assert torch.equal(result.pos_bboxes, torch.cat([gts, bboxes[1:2]]))
    assert torch.equal(result.bboxes, torch.cat([gts, bboxes[[1, 0]]]))
    assert result.pos_is_gt.tolist() == [1, 1, 0]
    assert result.pos_assigned_gt_inds.tolist() == [0, 1, 1]
    assert torch.equal(result.pos_gt_bboxes, gts[[0, 1, 1]])
    assert result.pos_gt_labels.tolist() == [4, 6, 1]
    assert result.num_gts == result.info['num_gts'] == 2
    assert result.to('cpu') is result


def test_image_without_boxes_and_ground_truth_keeps_shapes():
    result = RandomSampler(10, 0.5).sample(
        assigned([], 0), torch.zeros(0, 4), torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)
    )
    assert result.pos_bboxes.shape == result.neg_bboxes.shape == result.pos_gt_bboxes.shape == (0, 4)
    assert result.pos_inds.shape == result.pos_gt_labels.shape == (0,)


def test_adding_ground_truth_needs_labels():
    with pytest.raises(ValueError, match='gt_labels must be given where add_gt_as_proposals is True'):
        RandomSampler(4, 0.5).sample(assigned([1]), torch.zeros(1, 4), torch.zeros(2, 4))


def test_instance_balanced_takes_as_many_of_a_rare_object():
    result = sample('instance', [1] * 50 + [2] * 3, num=12)
    assert (result.pos_assigned_gt_inds == 1).sum() >= 2 and len(result.pos_inds) == 6
    result = sample('instance', [1] * 50 + [2] * 40, num=40)
    counts = torch.bincount(result.pos_assigned_gt_inds)
    assert counts.sum() == 20 and counts.min() >= 9


def test_iou_balanced_takes_as_many_of_each_bin():
    overlaps = torch.cat([torch.full((90,), 0.01), torch.full((6,), 0.5), torch.full((4,), 0.9)])
    result = sample('iou', [0] * 100, 0, overlaps, num=12, floor_thr=-1, floor_fraction=0, num_bins=3)
    assert torch.bincount((overlaps[result.neg_inds] * 3).long()).tolist() == [4, 4, 4]


@pytest.mark.parametrize('floor_thr, floor_overlap', [(0, 0.0), (0.2, 0.1)])
def test_iou_balanced_floor_gives_its_fraction(floor_thr, floor_overlap):
    overlaps = torch.cat([torch.full((50,), floor_overlap), torch.full((50,), 0.5)])
    result = sample('iou', [0] * 100, 0, overlaps, num=20, floor_thr=floor_thr, floor_fraction=0.25)
    assert (result.neg_inds < 50).sum() == 5
    few = sample('iou', [0] * 100, 0, overlaps.flip(0)[:55].repeat(2)[:100], num=20, floor_thr=0.2, floor_fraction=1.0)
    assert len(few.neg_inds) == 20


def test_iou_balanced_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r'floor_fraction in \[0, 1\].*got -1, 2 and 3'):
        build_sampler(dict(type='IoUBalancedNegSampler', num=4, pos_fraction=0.5, floor_fraction=2))


@pytest.mark.parametrize('img_metas', [None, {}, {'ignore_negatives': 1}])
def test_pseudo_sampler_takes_all_and_no_notice_of_directives(img_metas):
    sampler = build_sampler(dict(type='PseudoSampler', context=None))
    result = sampler.sample(assigned([1, 0, -1, 0]), random_boxes(4, 9, 0), random_boxes(2, 9, 1), img_metas=img_metas)
    assert result.pos_inds.tolist() == [0] and result.neg_inds.tolist() == [1, 3]
    assert result.pos_is_gt.tolist() == [0]


def test_mask_pseudo_sampler_pairs_masks():
    masks, gt_masks = torch.rand(3, 2, 2), torch.rand(2, 2, 2)
    result = build_sampler(dict(type='MaskPseudoSampler')).sample(assigned([2, 0, 1]), masks, gt_masks)
    assert torch.equal(result.pos_masks, masks[[0, 2]]) and torch.equal(result.pos_gt_masks, gt_masks[[1, 0]])
    assert torch.equal(result.masks, masks[[0, 2, 1]])
    empty = build_sampler(dict(type='MaskPseudoSampler')).sample(assigned([0], 0), masks[:1], gt_masks[:0])
    assert empty.pos_gt_masks.shape == (0, 2, 2)


def test_choices_differ_and_stay_inside():
    gallery = torch.arange(100) * 3
    chosen = random_choice(gallery, 40)
    assert len(chosen.unique()) == 40 and torch.isin(chosen, gallery).all()
    assert not torch.equal(chosen, gallery[:40])
    assert torch.equal(at_most(gallery, 100), gallery) and len(at_most(gallery, 0)) == 0
    with pytest.raises(ValueError, match='cannot choose 4 of 3 elements'):
        random_choice(gallery[:3], 4)


def test_balanced_choice_fills_up_from_large_groups():
    groups = torch.tensor([0] * 2 + [1] * 30 + [2] * 30)
    chosen = balanced_choice(torch.arange(62), groups, quota=5, num=16)
    counts = torch.bincount(groups[chosen], minlength=3)
    assert counts[0] == 2 and counts.min() == 2 and counts[1:].min() >= 5 and counts.sum() == 16


def test_random_sampler_choice_takes_lists():
    chosen = RandomSampler(4, 0.5).random_choice([3, 5, 7], 2)
    assert len(set(chosen.tolist()) & {3, 5, 7}) == 2


def test_random_sampling_result_is_consistent():
    result = SamplingResult.random(rng=0, num_gts=2, num_preds=20)
    assert len(result.bboxes) == len(result.pos_inds) + len(result.neg_inds)
    assert result.pos_gt_bboxes.shape == result.pos_bboxes.shape
