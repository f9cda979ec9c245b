import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmdet.models.necks.fpn import FPN


def identity_fpn(**kwargs):
    """An FPN of one channel whose convolutions all pass their input on."""
    neck = FPN(in_channels=[1, 1], out_channels=1, **kwargs)
    for conv in neck.modules():
        if isinstance(conv, nn.Conv2d):
            nn.init.dirac_(conv.weight)
            nn.init.zeros_(conv.bias)
    return neck


FINE = torch.arange(16.0).reshape(1, 1, 4, 4)
COARSE = torch.tensor([[100.0, 200.0], [300.0, 400.0]]).reshape(1, 1, 2, 2)


def test_top_down_adds_the_upsampled_coarser_level():
    fine, coarse = identity_fpn(num_outs=2)((FINE, COARSE))
    want = [[100, 101, 202, 203], [104, 105, 206, 207], [308, 309, 410, 411], [312, 313, 414, 415]]
    assert fine[0, 0].tolist() == want
    assert torch.equal(coarse, COARSE)


def test_inputs_are_not_changed():
    inputs = (FINE.clone(), COARSE.clone())
    identity_fpn(num_outs=2)(inputs)
    assert torch.equal(inputs[0], FINE) and torch.equal(inputs[1], COARSE)


def test_extra_levels_without_convolutions_are_every_second_cell():
    outs = identity_fpn(num_outs=4)((FINE, COARSE))
    assert outs[2].flatten().tolist() == [100]
    assert [out.shape[-1] for out in outs] == [4, 2, 1, 1]


@pytest.mark.parametrize(('source', 'want'), [('on_input', 100), ('on_lateral', 200), ('on_output', 600)])
def test_first_extra_convolution_reads_its_source(source, want):
    neck = identity_fpn(num_outs=3, add_extra_convs=source)
    neck.lateral_convs[1].conv.weight.data.mul_(2)
    neck.fpn_convs[1].conv.weight.data.mul_(3)
    assert neck((FINE, COARSE))[2].flatten().tolist() == [want]


def test_relu_before_extra_convs_acts_from_the_second_on():
    outs = {}
    for relu in (False, True):
        neck = identity_fpn(num_outs=4, add_extra_convs='on_output', relu_before_extra_convs=relu)
        outs[relu] = [out.flatten().tolist() for out in neck((FINE, -COARSE))[2:]]
    assert outs == {False: [[-100], [-100]], True: [[-100], [0]]}


def test_add_extra_convs_true_means_on_input():
    neck = FPN([8, 16], 4, num_outs=3, add_extra_convs=True)
    assert neck.add_extra_convs == 'on_input'
    assert neck.fpn_convs[2].conv.in_channels == 16


def test_odd_sizes_follow_the_finer_level_and_scale_factor_is_used_as_it_is():
    sizes = (torch.zeros(1, 1, 5, 7), torch.zeros(1, 1, 3, 4))
    assert [o.shape[-2:] for o in identity_fpn(num_outs=2)(sizes)] == [(5, 7), (3, 4)]
    neck = identity_fpn(num_outs=2, upsample_cfg=dict(scale_factor=2, mode='nearest'))
    assert torch.equal(neck((FINE, COARSE))[0], FINE + F.interpolate(COARSE, scale_factor=2))


def test_start_and_end_level_choose_the_inputs():
    neck = FPN([2, 4, 8, 16], 4, num_outs=2, start_level=1, end_level=2)
    inputs = tuple(torch.rand(1, c, 16 // 2**i, 16 // 2**i) for i, c in enumerate((2, 4, 8, 16)))
    assert [out.shape for out in neck(inputs)] == [(1, 4, 8, 8), (1, 4, 4, 4)]
    assert [conv.conv.in_channels for conv in neck.lateral_convs] == [4, 8]


def test_no_norm_on_lateral_keeps_norm_on_the_others():
    neck = FPN([2, 4], 4, num_outs=2, norm_cfg=dict(type='BN'), no_norm_on_lateral=True)
    assert [c.with_norm for c in neck.lateral_convs] == [False, False]
    assert [c.with_norm for c in neck.fpn_convs] == [True, True]


@pytest.mark.parametrize(
    ('kwargs', 'error', 'message'),
    [
        (dict(in_channels=8, num_outs=1), TypeError, 'in_channels: expected a list'),
        (dict(in_channels=[8, 8], num_outs=1), ValueError, 'num_outs=1 is less than the 2 inputs used'),
        (dict(in_channels=[8, 8, 8], num_outs=3, end_level=1), ValueError, 'end_level=1 is not the last input'),
        (dict(in_channels=[8, 8], num_outs=2, start_level=2), ValueError, 'start_level=2'),
        (dict(in_channels=[8, 8], num_outs=3, add_extra_convs='on_top'), ValueError, "got 'on_top'"),
    ],
)
def test_numbers_of_levels_that_do_not_fit_are_refused(kwargs, error, message):
    with pytest.raises(error, match=message):
        FPN(out_channels=4, **kwargs)


def test_another_number_of_inputs_is_refused():
    with pytest.raises(ValueError, match='expected 2 inputs, got 1'):
        identity_fpn(num_outs=2)((FINE,))
