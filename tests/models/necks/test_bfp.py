import pytest
import torch
from other_necks_cases import COARSE, FINE

from mmdet.models.necks.bfp import BFP


def test_bfp_adds_the_mean_of_all_levels():
    fine, coarse = BFP(1, 2, refine_level=1)((FINE, COARSE))
    mean = torch.tensor([[52.5, 103.5], [156.5, 207.5]])  # of the maxima of four cells and the coarse level
    assert torch.equal(coarse[0, 0], COARSE[0, 0] + mean)
    assert torch.equal(fine[0, 0], FINE[0, 0] + mean.repeat_interleave(2, 0).repeat_interleave(2, 1))


@pytest.mark.parametrize('refine_type', ['conv', 'non_local'])
def test_bfp_keeps_shapes(refine_type):
    inputs = tuple(torch.rand(2, 4, size, size) for size in (16, 8, 4, 2))
    outs = BFP(4, 4, refine_level=2, refine_type=refine_type)(inputs)
    assert [out.shape for out in outs] == [x.shape for x in inputs]
