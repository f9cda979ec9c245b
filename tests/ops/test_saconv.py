"""Switchable atrous convolution: its two branches, its start, gradients, and checkpoints of plain convolutions."""

import pytest
import torch
import torch.nn.functional as F
from mmcv.cnn import ConvAWS2d, build_conv_layer
from torch import nn
from torch.autograd import gradcheck

from mmdet.ops import SAConv2d
from mmdet.ops.saconv import local_mean


def sac(**kwargs):
    settings = dict(in_channels=4, out_channels=6, kernel_size=3, padding=1, bias=False)
    return build_conv_layer(dict(type='SAC'), **{**settings, **kwargs})


def standardised(layer):
    return layer._get_weight(layer.weight)


@pytest.mark.parametrize('use_deform', [False, True])
@pytest.mark.parametrize(('stride', 'groups', 'bias'), [(1, 1, False), (2, 2, True)])
def test_starts_as_the_narrow_branch(use_deform, stride, groups, bias):
    layer = sac(stride=stride, groups=groups, bias=bias, use_deform=use_deform)
    x = torch.randn(2, 4, 7, 8)
    plain = F.conv2d(x, standardised(layer), None, stride, 1, 1, groups)  # the bias is not added
    torch.testing.assert_close(layer(x), plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('use_deform', [False, True])
def test_switched_off_is_the_wide_branch_with_its_own_weight(use_deform):
    layer = sac(use_deform=use_deform, dilation=2, padding=2)
    nn.init.zeros_(layer.switch.bias)
    nn.init.normal_(layer.weight_diff)
    x = torch.randn(1, 4, 9, 9)
    wide = F.conv2d(x, standardised(layer) + layer.weight_diff, None, 1, 6, 6)
    torch.testing.assert_close(layer(x), wide, rtol=1e-4, atol=1e-5)


def test_switch_sees_the_mean_of_25_cells():
    layer = sac(in_channels=1, out_channels=1)
    nn.init.ones_(layer.switch.weight)
    nn.init.zeros_(layer.switch.bias)
    nn.init.zeros_(layer.weight)  # standardised to zero: only what differs between the branches is seen
    nn.init.zeros_(layer.weight_diff)
    layer.weight_diff.data[..., 1, 1] = 1
    x = torch.arange(49.0).view(1, 1, 7, 7)
    # at the centre of a ramp the mean is the centre itself, 24: the output is (1 - 24) * 24
    torch.testing.assert_close(layer(x)[0, 0, 3, 3], torch.tensor(-552.0))


def test_local_mean_mirrors_edges_where_there_is_something_to_mirror():
    x = torch.tensor([0.0, 1.0, 2.0]).expand(1, 1, 3, 3)
    assert torch.allclose(local_mean(x), torch.tensor([1.2, 1.0, 0.8]))  # 2 1 [0 1 2] 1 0
    assert torch.allclose(local_mean(torch.full((1, 1, 1, 2), 3.0)), torch.full((1, 1, 1, 2), 3.0))


def test_contexts_add_projections_of_the_mean():
    layer = sac(in_channels=2, out_channels=1, kernel_size=1, padding=0)
    layer.weight_gamma.zero_()
    layer.weight_beta.fill_(1)  # the convolution adds both channels
    nn.init.ones_(layer.pre_context.weight)
    x = torch.tensor([1.0, 3.0, 2.0]).expand(1, 2, 3, 3)
    torch.testing.assert_close(layer(x), 2 * (x[:, :1] + 4))
    nn.init.ones_(layer.post_context.weight)
    torch.testing.assert_close(layer(x), 2 * (x[:, :1] + 4) + 12)


@pytest.mark.parametrize('use_deform', [False, True])
def test_gradients(use_deform):
    torch.manual_seed(0)
    layer = sac(in_channels=2, out_channels=2, use_deform=use_deform).double()
    names, values = zip(*layer.named_parameters())
    # away from whole offsets, where bilinear reading has kinks
    values = [(0.2 * torch.rand_like(v) + 0.1 * (v.ndim == 1)).requires_grad_() for v in values]
    x = torch.randn(1, 2, 3, 3, dtype=torch.double, requires_grad=True)

    def run(x, *values):
        return torch.func.functional_call(layer, dict(zip(names, values)), x)

    assert gradcheck(run, (x, *values), fast_mode=True)


def test_parameter_names_and_a_checkpoint_of_a_plain_convolution():
    layer, plain = sac(use_deform=True), nn.Conv2d(4, 6, 3, padding=1, bias=False)
    own = {'weight', 'weight_diff', 'weight_gamma', 'weight_beta'}
    parts = {
        f'{n}.{k}'
        for n in ('switch', 'pre_context', 'post_context', 'offset_s', 'offset_l')
        for k in ('weight', 'bias')
    }
    assert set(layer.state_dict()) == own | parts
    layer.load_state_dict(plain.state_dict(), strict=False)
    x = torch.randn(1, 4, 5, 5)
    torch.testing.assert_close(layer(x), plain(x), rtol=1e-3, atol=1e-4)  # the spread is kept but for an epsilon
    assert isinstance(layer, ConvAWS2d) and isinstance(layer, SAConv2d)


def test_deformable_needs_a_3x3_kernel():
    with pytest.raises(ValueError, match=r'use_deform needs kernel_size=3, got \(5, 5\)'):
        sac(kernel_size=5, use_deform=True)
