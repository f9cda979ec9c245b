import pytest
import torch
from mining_samplers_cases import Context, assigned, boxes

from mmdet.core.bbox import build_sampler


@pytest.mark.parametrize('stages', [None, 2])
def test_ohem_takes_the_largest_losses(stages):
    config = dict(type='OHEMSampler', num=4, pos_fraction=0.5, add_gt_as_proposals=False)
    sampler = build_sampler(config, context=Context(stages))
    result = assigned(1, 1, 1, 0, 0, 0, -1)
    picked = sampler.sample(result, boxes(3, -1, 0, -2, 4, 1, 99), boxes(0), torch.tensor([0]), feats=[], img_metas={})
    assert picked.pos_inds.tolist() == [1, 2]  # positives of class 0: a low score is hard
    assert picked.neg_inds.tolist() == [4, 5]  # background: a high score is hard


def test_ohem_fewer_than_wanted_are_all_taken():
    sampler = build_sampler(dict(type='OHEMSampler', num=9, pos_fraction=0.5), context=Context())
    picked = sampler.sample(assigned(0, 0), boxes(1, 2), boxes(0), torch.tensor([0]), feats=[])
    assert picked.pos_inds.tolist() == [0] and picked.neg_inds.tolist() == [1, 2]


def test_ohem_names_what_it_was_not_given():
    sampler = build_sampler(
        dict(type='OHEMSampler', num=2, pos_fraction=0.5, add_gt_as_proposals=False), context=Context()
    )
    result = assigned(1, 1, 0, 0)
    with pytest.raises(ValueError, match=r'needs the feature maps of the image: .*feats='):
        sampler.sample(result, boxes(3, 1, 2, 4), boxes(0), torch.tensor([0]))
    result.labels = None
    with pytest.raises(ValueError, match='OHEMSampler needs the classes of the boxes'):
        sampler.sample(result, boxes(3, 1, 2, 4), boxes(0), feats=[])
