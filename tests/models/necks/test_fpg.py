import pytest
import torch
from torch import nn

from mmdet.models.necks.fpg import FPG, LastConv, Transition, UpInterpolationConv
from mmdet.models.necks.nas_fpn import NASFPN

FINE = torch.arange(16.0).reshape(1, 1, 4, 4)
COARSE = torch.tensor([[100.0, 200.0], [300.0, 400.0]]).reshape(1, 1, 2, 2)
IDENTITY = dict(type='identity')


def grid(**kwargs):
    """An FPG of one channel whose ways are those named; its convolutions pass their input on."""
    ways = dict.fromkeys(('same_up_trans', 'across_lateral_trans', 'across_down_trans', 'across_skip_trans'))
    settings = dict(in_channels=[1, 1], out_channels=1, num_outs=2, stack_times=1, paths=['bu'], **ways)
    neck = FPG(**{**settings, **kwargs})
    for conv in neck.modules():
        if isinstance(conv, nn.Conv2d):
            nn.init.dirac_(conv.weight)
            nn.init.zeros_(conv.bias)
    return neck


def test_fpg_adds_the_pyramid_before_and_the_first_one():
    neck = grid(stack_times=2, paths=['bu', 'bu'], across_lateral_trans=IDENTITY, across_skip_trans=IDENTITY)
    fine, coarse = neck((FINE, COARSE))
    assert torch.equal(fine, 3 * FINE) and torch.equal(coarse, 3 * COARSE)


DOWN = dict(type='conv', kernel_size=1, stride=2, act_cfg=None)
UP = dict(type='interpolation_conv', kernel_size=1, act_cfg=None)


def test_fpg_bottom_up_path_runs_from_fine_to_coarse():
    neck = grid(num_outs=3, in_channels=[1, 1, 1], same_up_trans=DOWN, across_lateral_trans=IDENTITY)
    top = torch.full((1, 1, 1, 1), 1000.0)
    outs = neck((FINE, COARSE, top))
    assert torch.equal(outs[0], FINE)
    assert outs[1][0, 0].tolist() == [[100, 202], [308, 410]]
    assert outs[2].item() == 1100


def test_fpg_top_down_path_runs_from_coarse_to_fine():
    ways = dict(paths=['td'], same_down_trans=UP, across_lateral_trans=IDENTITY)
    neck = grid(num_outs=3, in_channels=[1, 1, 1], **ways)
    outs = neck((FINE, COARSE, torch.full((1, 1, 1, 1), 1000.0)))
    assert outs[2].item() == 1000
    assert outs[1][0, 0].tolist() == [[1100, 1200], [1300, 1400]]
    assert outs[0][0, 0, 0].tolist() == [1100, 1101, 1202, 1203]


@pytest.mark.parametrize(
    ('ways', 'fine', 'coarse'),
    [
        (dict(across_down_trans=UP), [100, 101, 202, 203], [100, 200]),
        (dict(across_up_trans=DOWN), [0, 1, 2, 3], [100, 202]),
    ],
)
def test_fpg_crosses_levels_from_the_pyramid_before(ways, fine, coarse):
    outs = grid(across_lateral_trans=IDENTITY, **ways)((FINE, COARSE))
    assert outs[0][0, 0, 0].tolist() == fine and outs[1][0, 0, 0].tolist() == coarse


def test_fpg_skipped_levels_stay_and_have_no_parameters():
    ways = dict(across_lateral_trans=dict(type='conv', kernel_size=1, act_cfg=None), across_skip_trans=IDENTITY)
    neck = grid(stack_times=2, paths=['bu', 'bu'], skip_inds=[(0, 1), (0,)], **ways)
    outs = neck((FINE, COARSE))
    assert torch.equal(outs[0], FINE) and torch.equal(outs[1], 2 * COARSE)
    assert {key[:20] for key in neck.state_dict() if 'transitions' in key} == {'fpn_transitions.1.1.'}


@pytest.mark.parametrize(('convs', 'want'), [(False, [100]), (True, [300])])
def test_fpg_extra_levels_and_start_level(convs, want):
    neck = grid(in_channels=[7, 1], start_level=1, add_extra_convs=convs, across_lateral_trans=IDENTITY)
    if convs:
        nn.init.constant_(neck.extra_downsamples[0].bias, 200)
    assert neck((torch.zeros(1, 7, 4, 4), COARSE))[1].flatten().tolist() == want


def test_transitions_alone():
    up = UpInterpolationConv(1, 1, scale_factor=3, kernel_size=1, act_cfg=None)
    nn.init.constant_(up.conv.conv.weight, 2)
    assert up(COARSE)[0, 0, 0].tolist() == [200] * 3 + [400] * 3
    last = LastConv(1, 1, num_inputs=2, kernel_size=1, act_cfg=None)
    nn.init.constant_(last.conv_out.conv.weight, 2)
    assert torch.equal(last([FINE, COARSE]), 2 * COARSE)
    with pytest.raises(ValueError, match='LastConv: expected 2 inputs, got 1'):
        last([FINE])
    with pytest.raises(NotImplementedError, match='Transition must say'):
        Transition(1, 1)(FINE)


@pytest.mark.parametrize(
    ('run', 'message'),
    [
        (lambda: NASFPN([1, 1], 1, num_outs=4, stack_times=1), 'NASFPN merges 5 levels, P3 to P7; got 4'),
        (lambda: NASFPN([1, 1], 1, num_outs=5, stack_times=1)((FINE,)), 'NASFPN: expected 2 inputs, got 1'),
        (lambda: grid(paths=['bu', 'bu']), 'paths: expected 1 entries'),
        (lambda: grid(paths=['up']), "expected 'bu'"),
        (lambda: grid(inter_channels=[1]), 'inter_channels: expected 2 entries'),
        (lambda: grid(across_lateral_trans=dict(type='convs')), "got 'convs'; did you mean 'conv'"),
        (lambda: grid(across_down_trans=IDENTITY, inter_channels=[1, 2]), 'cannot turn 2 channels into 1'),
        (lambda: grid(across_down_trans=UP, across_lateral_trans=IDENTITY)((FINE[..., :3], COARSE)), 'size_divisor'),
        (lambda: grid()((FINE,)), 'FPG: expected 2 inputs, got 1'),
    ],
)
def test_what_does_not_fit_is_refused(run, message):
    with pytest.raises(ValueError, match=message):
        run()
