import pytest
import torch
from darknet_hourglass_cases import identity
from torch.nn import functional as F

from mmdet.models.backbones.csp_darknet import CSPDarknet, Focus, SPPBottleneck
from mmdet.models.builder import build_backbone


def test_focus_puts_pixels_of_squares_behind_each_other():
    focus = Focus(1, 4, act_cfg=None)
    identity(focus.conv)
    out = focus(torch.arange(16.0).view(1, 1, 4, 4))
    # above and below of the left column, then of the right one
    assert out[0, :, 0, 0].tolist() == [0, 4, 1, 5] and out[0, :, 1, 1].tolist() == [10, 14, 11, 15]


def test_focus_completes_the_squares_of_odd_sides_with_zeros():
    focus = Focus(1, 4, act_cfg=None)
    identity(focus.conv)
    out = focus(torch.arange(1.0, 10).view(1, 1, 3, 3))
    assert out[0, :, 0, 0].tolist() == [1, 4, 2, 5]
    assert out[0, :, 0, 1].tolist() == [3, 6, 0, 0] and out[0, :, 1, 1].tolist() == [9, 0, 0, 0]


def test_pyramid_pooling_takes_maxima_of_windows():
    pooling = SPPBottleneck(2, 4, kernel_sizes=(1, 3, 5), act_cfg=None)
    identity(pooling.conv1), identity(pooling.conv2)
    x = torch.zeros(1, 2, 7, 7)
    x[0, 0, 3, 3] = 1
    assert pooling(x).sum((0, 2, 3)).tolist() == [1, 1, 9, 25]


@pytest.mark.parametrize('sizes', [(5, 9, 13), (9, 3, 3), (1, 7)])
def test_pyramid_pooling_equals_poolings_of_the_input(sizes):
    pooling = SPPBottleneck(4, 2 * (len(sizes) + 1), kernel_sizes=sizes, act_cfg=None)
    identity(pooling.conv1), identity(pooling.conv2)
    x = torch.randn(2, 4, 6, 11, generator=torch.Generator().manual_seed(0)).requires_grad_()
    inner = pooling.conv1(x)
    direct = torch.cat([inner, *(F.max_pool2d(inner, size, 1, size // 2) for size in sizes)], dim=1)
    out, weights = pooling(x), torch.rand(direct.shape, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(out, pooling.conv2(direct))
    grads = [torch.autograd.grad((maps * weights).sum(), x)[0] for maps in (out, pooling.conv2(direct))]
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize(
    ('kwargs', 'channels'),
    [
        (dict(), [64, 128, 256]),
        (dict(arch='P6', out_indices=(0, 4, 5), use_depthwise=True), [16, 192, 256]),
        (dict(arch_ovewrite=[[64, 96, 1, True, True]], out_indices=(1,)), [24]),
    ],
)
def test_csp_darknet_widths_and_strides(kwargs, channels):
    net = build_backbone(dict(type='CSPDarknet', widen_factor=0.25, deepen_factor=0.33, **kwargs))
    outs = net(torch.rand(2, 3, 64, 64))
    assert [out.size(1) for out in outs] == channels
    assert [64 // out.size(2) for out in outs] == [2 ** (i + 1) for i in net.out_indices]


def test_csp_darknet_depth_frozen_stages_and_norm_eval():
    net = CSPDarknet(widen_factor=0.125, deepen_factor=0.34, frozen_stages=1, norm_eval=True).train()
    assert [len(getattr(net, f'stage{i}')[-1].blocks) for i in (1, 2, 3, 4)] == [1, 3, 3, 1]
    assert {n.split('.')[0] for n, p in net.named_parameters() if not p.requires_grad} == {'stem', 'stage1'}
    assert net.stage2.training and not net.stage2[0].bn.training
