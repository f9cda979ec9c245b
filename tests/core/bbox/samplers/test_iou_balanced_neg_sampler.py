import pytest
import torch
from samplers_cases import SAMPLERS, assigned, sample

from mmdet.core.bbox import build_sampler


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


def test_iou_balanced_says_that_the_assigner_finds_no_overlaps():
    result = assigned([0] * 5, 0)
    result.max_overlaps = None  # as those of PointAssigner
    sampler = build_sampler(SAMPLERS['iou'] | dict(num=2, pos_fraction=0.5))
    with pytest.raises(ValueError, match='IoUBalancedNegSampler: the assigner must find overlaps'):
        sampler.sample(result, torch.zeros(5, 4), torch.zeros(0, 4))


def test_iou_balanced_takes_nothing_from_the_floor_unless_told_otherwise_and_may_have_one_bin():
    sampler = build_sampler(dict(type='IoUBalancedNegSampler', num=8, pos_fraction=0.0, floor_thr=0.2, num_bins=1))
    result = assigned([0] * 20, 0, torch.tensor([0.1] * 10 + [0.5] * 10))
    picked = sampler.sample(result, torch.zeros(20, 4), torch.zeros(0, 4))
    assert len(picked.neg_inds) == 8 and picked.neg_inds.min() >= 10


def test_iou_balanced_bins_lie_between_the_floor_and_the_highest_overlap():
    overlaps = torch.tensor([0.3] * 60 + [0.7] * 6 + [1.0])  # bins of 0.2 to 0.6 and of 0.6 to 1
    result = sample('iou', [0] * 67, 0, overlaps, num=10, floor_thr=0.2, floor_fraction=0, num_bins=2)
    assert (result.neg_inds < 60).sum() == 5 and len(result.neg_inds) == 10
