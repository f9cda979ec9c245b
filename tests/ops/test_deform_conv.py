"""Deformable convolutions: against plain ones, by gradcheck, and with old checkpoints."""

import math

import pytest
import torch
import torch.nn.functional as F
from mmcv.cnn import build_conv_layer
from mmcv.runner import load_state_dict
from torch import nn
from torch.autograd import gradcheck

from mmdet.ops import (
    DeformConv2d,
    DeformConv2dPack,
    ModulatedDeformConv2dPack,
    deform_conv2d,
    modulated_deform_conv2d,
)


@pytest.mark.parametrize(('groups', 'stride', 'dilation'), [(1, 1, 1), (2, 2, 1), (2, 1, 2)])
def test_zero_offsets_are_a_plain_convolution(groups, stride, dilation):
    x, weight = torch.randn(2, 4, 9, 8), torch.randn(6, 4 // groups, 3, 3)
    plain = F.conv2d(x, weight, None, stride, dilation, dilation, groups)
    offset = torch.zeros(2, 2 * 2 * 9, *plain.shape[-2:])
    out = deform_conv2d(x, offset, weight, stride, dilation, dilation, groups, deform_groups=2)
    torch.testing.assert_close(out, plain, rtol=1e-4, atol=1e-5)


def test_whole_offsets_shift_y_before_x_and_masks_scale():
    x = torch.arange(20.0).view(1, 1, 4, 5)
    weight = torch.ones(1, 1, 1, 1)
    offset = torch.zeros(1, 2, 4, 5)
    offset[:, 0] = 1  # y
    shifted = deform_conv2d(x, offset, weight)
    assert torch.equal(shifted[0, 0, :3], x[0, 0, 1:]) and not shifted[0, 0, 3].any()
    mask = torch.full((1, 1, 4, 5), 0.25)
    scaled = modulated_deform_conv2d(x, offset, mask, weight, bias=torch.tensor([2.0]))
    torch.testing.assert_close(scaled, shifted * 0.25 + 2)


def test_deform_groups_move_their_own_channels():
    x = torch.randn(1, 4, 5, 5)
    offset = torch.zeros(1, 4, 5, 5)
    offset[:, 3] = 1  # x of the second half of the channels
    out = deform_conv2d(x, offset, torch.eye(4).view(4, 4, 1, 1), deform_groups=2)
    torch.testing.assert_close(out[:, :2], x[:, :2])
    torch.testing.assert_close(out[:, 2:, :, :4], x[:, 2:, :, 1:])


def test_gradients():
    torch.manual_seed(0)

    def leaf(*shape, scale=1.0):
        return (torch.rand(*shape, dtype=torch.double) * scale).requires_grad_()

    args = leaf(1, 2, 4, 4), leaf(1, 8, 3, 3, scale=0.4), leaf(1, 4, 3, 3), leaf(3, 2, 2, 2), leaf(3)
    assert gradcheck(lambda x, o, m, w, b: modulated_deform_conv2d(x, o, m, w, b), args)


@pytest.mark.parametrize(('name', 'factor'), [('DCN', 1.0), ('DCNv2', 0.5)])
def test_registered_layers_start_as_a_plain_convolution(name, factor):
    layer = build_conv_layer(dict(type=name, deform_groups=2), 4, 6, 3, padding=1, stride=2, bias=False)
    assert type(layer) is (DeformConv2dPack if name == 'DCN' else ModulatedDeformConv2dPack)
    x = torch.randn(2, 4, 7, 7)
    plain = F.conv2d(x, layer.weight, None, 2, 1)
    torch.testing.assert_close(layer(x), factor * plain, rtol=1e-4, atol=1e-5)
    assert layer.conv_offset.out_channels == (2 if name == 'DCN' else 3) * 2 * 9


def test_predicted_offsets_are_y_x_and_then_the_mask():
    layer = ModulatedDeformConv2dPack(1, 1, 1, bias=False)
    nn.init.ones_(layer.weight)
    with torch.no_grad():
        layer.conv_offset.bias.copy_(torch.tensor([1.0, 0.0, math.log(3)]))
    x = torch.arange(20.0).view(1, 1, 4, 5)
    torch.testing.assert_close(layer(x)[0, 0, :3], 0.75 * x[0, 0, 1:])


@pytest.mark.parametrize('layer', [DeformConv2dPack(4, 6, 3, padding=1), ModulatedDeformConv2dPack(4, 6, 3, padding=1)])
def test_empty_input_keeps_shape_and_graph(layer):
    out = layer(torch.zeros(0, 4, 5, 5))
    assert out.shape == (0, 6, 5, 5)
    out.sum().backward()
    for parameter in layer.parameters():
        assert torch.equal(parameter.grad, torch.zeros_like(parameter))


def test_offsets_that_are_nan_give_nan_and_do_not_end_the_process():
    x, weight = torch.ones(1, 2, 5, 5), torch.ones(3, 2, 3, 3, requires_grad=True)
    offset = torch.zeros(1, 18, 5, 5)
    offset[0, 4, 2, 2] = math.nan
    out = deform_conv2d(x, offset, weight, padding=1)
    assert out.shape == (1, 3, 5, 5) and out.isnan().all() and out.requires_grad
    assert deform_conv2d(x, torch.full_like(offset, math.inf), weight, padding=1).isfinite().all()


@pytest.mark.parametrize('cls', [DeformConv2dPack, ModulatedDeformConv2dPack])
def test_old_checkpoints_keep_the_offsets_beside_the_layer(cls):
    source, by_torch, by_mmcv = (nn.ModuleDict(dict(conv2=cls(2, 2, 3))) for _ in range(3))
    nn.init.normal_(source.conv2.conv_offset.weight)
    old = {k.replace('conv2.conv_offset', 'conv2_offset'): v for k, v in source.state_dict().items()}
    assert 'conv2_offset.weight' in old
    load_state_dict(by_mmcv, old, strict=False)
    by_torch.conv2.upgrade_state_dict(old, 'conv2.')
    by_torch.load_state_dict(old, strict=True)
    for model in (by_torch, by_mmcv):
        assert torch.equal(model.conv2.conv_offset.weight, source.conv2.conv_offset.weight)


def test_old_name_of_deform_groups():
    assert DeformConv2d(4, 4, 3, deformable_groups=2).deform_groups == 2
    assert ModulatedDeformConv2dPack(4, 4, 3, deformable_groups=2).conv_offset.out_channels == 54


def test_bfloat16_autocast_runs_and_keeps_the_dtype():
    layer = ModulatedDeformConv2dPack(4, 6, 3, padding=1)
    x = torch.randn(1, 4, 5, 5)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = layer(x.bfloat16())
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), layer(x.bfloat16().float()), rtol=2e-2, atol=2e-2)


def test_errors_say_what_was_wrong():
    x, weight = torch.randn(1, 4, 5, 5), torch.randn(6, 4, 3, 3)
    with pytest.raises(ValueError, match=r'expected offset \(N, 18, H, W\)'):
        deform_conv2d(x, torch.zeros(1, 9, 3, 3), weight)
    with pytest.raises(ValueError, match='out_channels=5 cannot be split into 2 groups'):
        DeformConv2d(4, 5, 3, groups=2)
    with pytest.raises(ValueError, match='has no bias'):
        DeformConv2d(4, 4, 3, bias=True)
