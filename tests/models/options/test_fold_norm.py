"""Batch norms as part of convolutions give what they give by themselves."""

import copy

import pytest
import torch
from mmcv.cnn import ConvModule
from torch import nn

from mmdet.models.builder import build_backbone, build_neck
from mmdet.models.options.fold_norm import can_fold, fold_norms, norm_after_conv


def with_made_norms(module: nn.Module) -> nn.Module:
    """Statistics, scales and shifts that a norm must apply; one scale is zero."""
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 2)
            with torch.no_grad():
                part.weight.uniform_(0.5, 1.5)[0] = 0
                part.bias.normal_(0, 0.2)
    return module


def outputs_and_gradients(module, inputs):
    outs = module(inputs)
    outs = outs if isinstance(outs, (tuple, list)) else (outs,)
    sum(out.square().mean() for out in outs).backward()
    return [out.detach() for out in outs], {n: p.grad for n, p in module.named_parameters() if p.grad is not None}


def check_same(plain, inputs, folded=None):
    """Same outputs and gradients, names and values; returns the module that folds."""
    folded = fold_norms(copy.deepcopy(plain)) if folded is None else folded
    assert list(plain.state_dict()) == list(folded.state_dict())
    outs, grads = outputs_and_gradients(plain, inputs)
    folded_outs, folded_grads = outputs_and_gradients(folded, inputs)
    for out, folded_out in zip(outs, folded_outs, strict=True):
        torch.testing.assert_close(folded_out, out, rtol=1e-4, atol=1e-5 * out.abs().max().item())
    assert set(grads) == set(folded_grads)
    for name, grad in grads.items():
        off = (folded_grads[name] - grad).norm() / grad.norm().clamp(min=1e-12)
        assert off < 1e-4, (name, off)
    folded.zero_grad()
    return folded


def passes_of(function, module, inputs):
    """How many convolutions and batch norms ``module(inputs)`` computes."""
    seen = dict(conv2d=0, batch_norm=0)
    originals = {name: getattr(nn.functional, name) for name in seen}
    try:
        for name, original in originals.items():

            def counted(*args, name=name, original=original, **kwargs):
                seen[name] += 1
                return original(*args, **kwargs)

            setattr(nn.functional, name, counted)
        function(module, inputs)
    finally:
        for name, original in originals.items():
            setattr(nn.functional, name, original)
    return seen


BACKBONES = [
    dict(type='ResNet', depth=18, base_channels=8, frozen_stages=1),
    dict(type='ResNet', depth=50, base_channels=4, num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(0, 1)),
    dict(type='ResNet', depth=50, base_channels=4, style='caffe', with_cp=True, norm_cfg=dict(type='BN')),
    dict(type='ResNeXt', depth=50, base_channels=16, groups=4, base_width=4),
    dict(type='ResNetV1d', depth=18, base_channels=8),
]


@pytest.mark.parametrize('cfg', BACKBONES, ids=['18', '50', 'caffe_cp', 'next', 'v1d'])
def test_backbones_in_training(cfg):
    backbone = with_made_norms(build_backbone(copy.deepcopy(cfg))).train()
    images = torch.randn(2, 3, 32, 40)
    folded = check_same(backbone, images)
    with torch.no_grad():
        assert passes_of(lambda m, x: m(x), backbone, images)['batch_norm'] > 0
        assert passes_of(lambda m, x: m(x), folded, images)['batch_norm'] == 0


def test_neck_of_conv_modules():
    cfg = dict(type='FPN', in_channels=[4, 8], out_channels=4, num_outs=3, norm_cfg=dict(type='BN'))
    neck = with_made_norms(build_neck(cfg)).eval()
    folded = check_same(neck, (torch.randn(2, 4, 8, 8), torch.randn(2, 8, 4, 4)))
    assert not any(type(part) is ConvModule for part in folded.modules())


@pytest.mark.parametrize('settings', [
    dict(padding_mode='reflect', padding=1), dict(bias=True, padding=1, act_cfg=None), dict(groups=2, stride=2),
    dict(order=('norm', 'conv', 'act')),
], ids=str)  # fmt: skip
def test_conv_modules(settings):
    module = with_made_norms(ConvModule(4, 4, 3, norm_cfg=dict(type='BN'), **settings)).eval()
    folded = check_same(module, torch.randn(2, 4, 9, 9))
    x = torch.randn(1, 4, 9, 9)
    torch.testing.assert_close(folded(x, norm=False, activate=False), module(x, norm=False, activate=False))


def test_a_norm_in_training_mode_is_computed_and_learns_its_statistics():
    plain = with_made_norms(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True))).train()
    folded = fold_norms(copy.deepcopy(plain))
    check_same(plain, torch.randn(2, 3, 8, 8) + 1, folded)
    torch.testing.assert_close(folded[1].running_mean, plain[1].running_mean)
    assert folded[1].num_batches_tracked == 1


def test_a_changed_weight_counts_at_once_also_in_a_copy():
    module = with_made_norms(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))).eval()
    folded = fold_norms(copy.deepcopy(module))
    x = torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        folded(x)
        twin = copy.deepcopy(folded)
        for changed in (module, twin):
            changed[0].weight.data.mul_(3)
            changed[1].running_var.data.mul_(2)
        torch.testing.assert_close(twin(x), module(x))
        assert passes_of(lambda m, x: m(x), twin, x) == dict(conv2d=1, batch_norm=0)
        assert not torch.allclose(folded(x), module(x))


def test_what_is_not_folded():
    conv, norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4).eval()
    assert not can_fold(conv, norm)  # nobody asked for it
    fold_norms(norm)
    assert can_fold(conv, norm)
    assert not can_fold(nn.Conv2d(3, 4, 3, padding='same'), norm)
    assert not can_fold(nn.Conv2d(3, 4, 3, padding_mode='reflect'), norm)
    assert not can_fold(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), norm)
    assert not can_fold(nn.ConvTranspose2d(3, 4, 3), norm) and not can_fold(conv, nn.GroupNorm(2, 4))
    assert not can_fold(conv, nn.BatchNorm2d(4).eval())  # put in the place of one that was folded
    no_statistics = fold_norms(nn.BatchNorm2d(4, track_running_stats=False)).eval()
    assert not can_fold(conv, no_statistics)
    seen = []
    handle = norm.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    x = torch.randn(1, 3, 8, 8)
    torch.testing.assert_close(norm_after_conv(conv, norm, x), norm(conv(x)))
    torch.testing.assert_close(seen[0], conv(x))
    handle.remove()
    assert can_fold(conv, norm)


def test_norms_without_parameters_and_half_precision():
    conv, norm = nn.Conv2d(3, 4, 3), fold_norms(nn.BatchNorm2d(4, affine=False)).eval()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    expected = norm(conv(x))
    torch.testing.assert_close(norm_after_conv(conv, norm, x), expected, rtol=1e-4, atol=1e-5)
    with torch.autocast('cpu', torch.bfloat16):
        half = norm_after_conv(conv, norm, x)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), expected, rtol=0.05, atol=0.05)
    half.float().square().sum().backward()
    got, conv.weight.grad = conv.weight.grad, None
    x_grad, x.grad = x.grad, None
    expected.square().sum().backward()
    for a, b in ((got, conv.weight.grad), (x_grad, x.grad)):
        assert a.dtype == torch.float32 and (a - b).norm() < 0.03 * b.norm()


class Pair(nn.ModuleList):
    def forward(self, x):
        return norm_after_conv(*self, x)


def test_gradients_in_double():
    pair = Pair([nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2), fold_norms(nn.BatchNorm2d(4))]).double().eval()
    names, values = zip(*((name, value.detach().requires_grad_()) for name, value in pair.named_parameters()))

    def call(x, *values):
        return torch.func.functional_call(pair, dict(zip(names, values)), (x,))

    assert torch.autograd.gradcheck(call, (torch.randn(1, 2, 5, 5).double().requires_grad_(), *values))
