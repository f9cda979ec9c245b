import pytest
import torch
from torch import nn

from mmdet.models.necks.bfp import BFP
from mmdet.models.necks.channel_mapper import ChannelMapper
from mmdet.models.necks.hrfpn import HRFPN
from mmdet.models.necks.pafpn import PAFPN

FINE = torch.arange(16.0).reshape(1, 1, 4, 4)
COARSE = torch.tensor([[100.0, 200.0], [300.0, 400.0]]).reshape(1, 1, 2, 2)


def all_identities(neck):
    """Every convolution of one channel passes its input on."""
    for conv in neck.modules():
        if isinstance(conv, nn.Conv2d):
            nn.init.dirac_(conv.weight)
            nn.init.zeros_(conv.bias)
    return neck


def test_pafpn_adds_the_strided_finer_level():
    neck = all_identities(PAFPN([1, 1], 1, num_outs=3))
    fine, coarse, extra = neck((FINE, COARSE))
    assert fine[0, 0, ::2, ::2].tolist() == [[100, 202], [308, 410]]
    assert coarse[0, 0].tolist() == [[200, 402], [608, 810]]
    assert extra.flatten().tolist() == [200]


def test_pafpn_extra_convolutions_read_the_last_output():
    neck = all_identities(PAFPN([1, 1], 1, num_outs=3, add_extra_convs='on_output'))
    assert neck((FINE, COARSE))[2].flatten().tolist() == [200]


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


def test_hrfpn_joins_at_the_finest_and_pools():
    neck = HRFPN([1, 1], 1, num_outs=3)
    all_identities(neck.fpn_convs)
    nn.init.constant_(neck.reduction_conv.conv.weight, 1)
    outs = neck((FINE, torch.full((1, 1, 2, 2), 100.0)))
    assert torch.equal(outs[0], FINE + 100)
    assert outs[1][0, 0].tolist() == [[102.5, 104.5], [110.5, 112.5]]
    assert outs[2].flatten().tolist() == [107.5]
    assert HRFPN([1, 1], 1, num_outs=3, pooling_type='MAX').pooling(FINE, 4).item() == 15


def test_channel_mapper_makes_further_levels_from_the_last_input():
    neck = ChannelMapper([2, 3], 4, kernel_size=1, num_outs=4)
    outs = neck((torch.rand(1, 2, 8, 8), torch.rand(1, 3, 4, 4)))
    assert [out.shape for out in outs] == [(1, 4, 8, 8), (1, 4, 4, 4), (1, 4, 2, 2), (1, 4, 1, 1)]
    assert [conv.conv.in_channels for conv in neck.extra_convs] == [3, 4]
    assert ChannelMapper([2, 3], 4).extra_convs is None


@pytest.mark.parametrize(
    ('neck', 'message'),
    [
        (lambda: BFP(1, 2), 'refine_level'),
        (lambda: BFP(1, 3, refine_type='sum'), "refine_type: expected None, 'conv' or 'non_local'"),
        (lambda: BFP(1, 3)((FINE,)), 'BFP: expected 3 inputs, got 1'),
        (lambda: HRFPN([1], 1, pooling_type='SUM'), "pooling_type: expected 'AVG' or 'MAX'"),
        (lambda: HRFPN([1, 1], 1)((FINE,)), 'HRFPN: expected 2 inputs, got 1'),
        (lambda: ChannelMapper([1, 1], 1)((FINE,)), 'ChannelMapper: expected 2 inputs, got 1'),
    ],
)
def test_arguments_that_do_not_fit_are_refused(neck, message):
    with pytest.raises(ValueError, match=message):
        neck()
