"""Samplers: counts, order, evenness."""

import pytest
import torch
from samplers_cases import SAMPLERS, sample


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
