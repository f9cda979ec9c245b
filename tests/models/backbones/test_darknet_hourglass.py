import pytest
import torch
from torch import nn

from mmdet.models.backbones.csp_darknet import CSPDarknet, Focus, SPPBottleneck
from mmdet.models.backbones.darknet import Darknet, ResBlock
from mmdet.models.backbones.hourglass import HourglassModule, HourglassNet
from mmdet.models.builder import build_backbone


@pytest.fixture
def no_random_numbers(monkeypatch):
    """Large networks are built for their shapes only."""
    for name in dir(nn.init):
        if name.endswith('_') and not name.startswith('_'):
            monkeypatch.setattr(nn.init, name, lambda tensor, *args, **kwargs: tensor)


def identity(conv_module):
    """Make a 1x1 or 3x3 convolution with norm, in evaluation mode, hand its input on where that is positive."""
    nn.init.dirac_(conv_module.conv.weight)
    conv_module.bn.eps = 0
    conv_module.eval()
    return conv_module


def test_darknet_has_53_layers_and_strides_1_to_32(no_random_numbers):
    net = build_backbone(dict(type='Darknet', out_indices=range(6))).eval()
    convs = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert len(convs) == 52  # and the classifier
    outs = net(torch.zeros(1, 3, 32, 32))
    assert [(out.size(1), 32 // out.size(2)) for out in outs] == [(32 * 2**i, 2**i) for i in range(6)]


def test_darknet_block_adds_its_layers_to_the_input():
    block = ResBlock(4).eval()
    identity(block.conv1), identity(block.conv2)
    out = block(torch.full((1, 4, 2, 2), 3.0))
    assert out[0, :, 0, 0].tolist() == [6, 6, 3, 3]
    with pytest.raises(ValueError, match='in_channels: expected an even number, got 3'):
        ResBlock(3)


def test_darknet_frozen_stages_and_norm_eval(no_random_numbers):
    net = Darknet(frozen_stages=2).train()
    assert {n.split('.')[0] for n, p in net.named_parameters() if not p.requires_grad} == {'conv1', 'conv_res_block1'}
    assert net.conv_res_block2.training and not net.conv_res_block2.conv.bn.training
    assert Darknet(norm_eval=False).train().conv_res_block2.conv.bn.training


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


@pytest.mark.parametrize(
    ('build', 'kwargs', 'error', 'message'),
    [
        (Darknet, dict(depth=54), KeyError, r'knows the depths \[53\], not 54'),
        (Darknet, dict(out_indices=(6,)), ValueError, r'out_indices: expected numbers in \[0, 6\)'),
        (Darknet, dict(frozen_stages=7), ValueError, 'frozen_stages'),
        (CSPDarknet, dict(arch='P7'), KeyError, "expected 'P5' or 'P6', got 'P7'"),
        (CSPDarknet, dict(out_indices=(5,)), ValueError, r'out_indices: expected numbers in \[0, 5\)'),
        (CSPDarknet, dict(frozen_stages=5), ValueError, 'frozen_stages'),
        (HourglassNet, dict(num_stacks=0), ValueError, 'num_stacks: expected 1 or more'),
        (HourglassNet, dict(stage_blocks=(2, 2)), ValueError, r'at least depth \+ 1 = 6 entries'),
    ],
)
def test_arguments_that_do_not_fit_are_refused(build, kwargs, error, message, no_random_numbers):
    with pytest.raises(error, match=message):
        build(**kwargs)


@pytest.mark.parametrize('stacks', [1, 3])
def test_hourglasses_each_give_an_output_and_all_is_trained(stacks):
    net = build_backbone(
        dict(
            type='HourglassNet',
            downsample_times=2,
            num_stacks=stacks,
            stage_channels=(4, 4, 6),
            stage_blocks=(1, 2, 1),
            feat_channel=8,
        )
    )
    net.init_weights()
    outs = net(torch.rand(2, 3, 36, 52))  # 9 x 13 at stride 4: sizes that halve and double to others
    assert [tuple(out.shape) for out in outs] == [(2, 8, 9, 13)] * stacks
    sum(out.square().sum() for out in outs).backward()
    unused = {name for name, p in net.named_parameters() if p.grad is None}
    assert {name.split('.')[0] for name in unused} == ({'inters'} if stacks == 1 else set())


def test_hourglass_adds_the_enlarged_map_to_what_it_kept():
    module = HourglassModule(1, (2, 2), (1, 1)).eval()
    x = torch.arange(8.0).view(1, 2, 2, 2)
    kept, low = module.up1(x), module.low3(module.low2(module.low1(x)))
    assert low.shape[-2:] == (1, 1)
    assert torch.allclose(module(x), kept + low)
    scaled = HourglassModule(1, (2, 2), (1, 1), upsample_cfg=dict(scale_factor=2)).eval()
    scaled.load_state_dict(module.state_dict())
    assert torch.allclose(scaled(x), module(x))
