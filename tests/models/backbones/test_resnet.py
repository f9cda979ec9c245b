import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmdet.models.backbones.resnet import BasicBlock, Bottleneck, ResNet, ResNetV1d
from mmdet.ops import DeformConv2dPack


def small(depth=50, **kwargs):
    """A ResNet of that depth with thin layers."""
    return ResNet(depth, base_channels=4, **kwargs)


def strides_of(outs, size):
    return [size // out.shape[-1] for out in outs]


@pytest.mark.parametrize(
    ('depth', 'blocks', 'widths'),
    [
        (18, (2, 2, 2, 2), (4, 8, 16, 32)),
        (34, (3, 4, 6, 3), (4, 8, 16, 32)),
        (50, (3, 4, 6, 3), (16, 32, 64, 128)),
        (101, (3, 4, 23, 3), (16, 32, 64, 128)),
        (152, (3, 8, 36, 3), (16, 32, 64, 128)),
    ],
)
def test_resnet_depth_gives_blocks_widths_and_strides(depth, blocks, widths):
    net = small(depth).eval()
    outs = net(torch.rand(1, 3, 64, 64))
    assert tuple(len(getattr(net, name)) for name in net.res_layers) == blocks
    assert tuple(out.shape[1] for out in outs) == widths
    assert strides_of(outs, 64) == [4, 8, 16, 32]
    assert net.feat_dim == widths[-1]


def test_resnet_50_has_the_usual_number_of_parameters():
    assert sum(p.numel() for p in ResNet(50).parameters()) == 23_508_032


def test_out_indices_strides_and_dilations_shape_the_outputs():
    net = small(50, num_stages=3, strides=(1, 2, 1), dilations=(1, 1, 2), out_indices=(2,), frozen_stages=-1).eval()
    (out,) = net(torch.rand(2, 3, 64, 64))
    assert out.shape == (2, 64, 8, 8)
    assert [block.conv2.dilation for block in net.layer3] == [(2, 2)] * 6
    assert not hasattr(net, 'layer4')


@pytest.mark.parametrize(('style', 'conv1', 'conv2'), [('pytorch', (1, 1), (2, 2)), ('caffe', (2, 2), (1, 1))])
def test_style_decides_which_convolution_strides(style, conv1, conv2):
    first = small(50, style=style).layer2[0]
    assert (first.conv1.stride, first.conv2.stride) == (conv1, conv2)


def test_frozen_stages_take_no_gradient_and_stay_in_eval_mode_after_train():
    net = small(50, frozen_stages=1, norm_eval=False).train()
    frozen = [name for name, p in net.named_parameters() if not p.requires_grad]
    assert {name.split('.')[0] for name in frozen} == {'conv1', 'bn1', 'layer1'}
    assert not net.layer1[0].bn1.training and not net.bn1.training
    assert net.layer2[0].bn1.training and net.layer2.training


def test_frozen_stages_minus_one_trains_everything_and_zero_freezes_the_stem():
    assert all(p.requires_grad for p in small(18).parameters())
    net = small(18, frozen_stages=0, deep_stem=True).train()
    assert {n.split('.')[0] for n, p in net.named_parameters() if not p.requires_grad} == {'stem'}
    assert not net.stem.training


@pytest.mark.parametrize('norm_eval', [True, False])
def test_norm_eval_keeps_batch_statistics(norm_eval):
    net = small(18, norm_eval=norm_eval).train()
    before = net.layer4[1].bn2.running_mean.clone()
    net(torch.rand(2, 3, 64, 64))
    assert torch.equal(net.layer4[1].bn2.running_mean, before) is norm_eval
    assert {m.training for m in net.modules() if isinstance(m, _BatchNorm)} == {not norm_eval}
    assert not net.eval().training


def test_v1d_has_three_convolutions_in_the_stem_and_pools_on_shortcuts():
    net = ResNetV1d(depth=50, base_channels=4)
    convs = [m for m in net.stem if isinstance(m, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.stride[0], c.kernel_size[0]) for c in convs] == [
        (3, 2, 2, 3),
        (2, 2, 1, 3),
        (2, 4, 1, 3),
    ]
    pool, conv, _ = net.layer2[0].downsample
    assert (pool.kernel_size, pool.stride, conv.stride) == (2, 2, (1, 1))
    assert strides_of(net.eval()(torch.rand(1, 3, 64, 64)), 64) == [4, 8, 16, 32]


def test_stem_channels_differ_from_base_channels():
    net = small(18, stem_channels=6)
    assert net.conv1.out_channels == 6
    assert net.layer1[0].downsample[0].in_channels == 6


def test_basic_block_computes_two_convolutions_and_the_shortcut():
    block = BasicBlock(1, 1).eval()
    for conv in (block.conv1, block.conv2):
        nn.init.dirac_(conv.weight)
    block.bn1.bias.data.fill_(-1)  # relu(x - 1) + x, norms being identities up to eps
    x = torch.tensor([[[[3.0, 0.5], [-2.0, 1.0]]]])
    assert torch.allclose(block(x), torch.tensor([[[[5.0, 0.5], [0.0, 1.0]]]]), atol=1e-4)


def test_dcn_replaces_the_3x3_convolution_in_chosen_stages_only():
    dcn = dict(type='DCN', deform_groups=1, fallback_on_stride=False)
    net = small(50, dcn=dcn, stage_with_dcn=(False, False, True, False)).eval()
    kinds = [{type(block.conv2) for block in getattr(net, name)} for name in net.res_layers]
    assert kinds == [{nn.Conv2d}, {nn.Conv2d}, {DeformConv2dPack}, {nn.Conv2d}]
    assert dcn == dict(type='DCN', deform_groups=1, fallback_on_stride=False)
    assert strides_of(net(torch.rand(1, 3, 64, 64)), 64) == [4, 8, 16, 32]


def test_dcn_offsets_start_at_zero_also_after_init_weights():
    net = small(50, dcn=dict(type='DCN', deform_groups=1), stage_with_dcn=(False, False, False, True))
    net.init_weights()
    assert all(torch.count_nonzero(block.conv2.conv_offset.weight) == 0 for block in net.layer4)


def test_plugins_stand_where_position_and_stages_say():
    def plugin(position, stages, **cfg):
        return dict(cfg=dict(type='ContextBlock', ratio=1 / 4, **cfg), position=position, stages=stages)

    plugins = [
        plugin('after_conv1', (True, False, False, False), postfix=1),
        plugin('after_conv3', (False, True, True, False)),
    ]
    net = small(50, plugins=plugins).eval()
    assert net.layer1[0].context_block1.in_channels == 4
    assert net.layer1[0].after_conv1_plugin_names == ['context_block1']
    assert net.layer2[0].context_block.in_channels == 32
    assert net.layer4[0].with_plugins is False
    assert plugins[0]['cfg']['postfix'] == 1
    net(torch.rand(1, 3, 64, 64))


class _TimesThree(nn.Module):
    def forward(self, x):
        return 3 * x


@pytest.mark.parametrize(
    ('position', 'want'), [('after_conv1', 3.0), ('after_conv2', 3.0), ('after_conv3', 3.0), (None, 1.0)]
)
def test_plugin_acts_on_the_residual_only(position, want):
    block = Bottleneck(4, 1).eval()
    for conv in (block.conv1, block.conv2, block.conv3):
        nn.init.dirac_(conv.weight)
    block.add_module('three', _TimesThree())
    if position:
        setattr(block, f'{position}_plugin_names', ['three'])
    x = torch.zeros(1, 4, 1, 1)
    x[:, 0] = 2
    out = block(x)[0, :, 0, 0]
    assert torch.allclose(out, torch.tensor([2 + 2 * want, 0, 0, 0]), atol=1e-3)


@pytest.mark.parametrize('depth', [18, 50])
def test_with_cp_gives_the_same_outputs_and_gradients(depth):
    torch.manual_seed(0)
    nets = [small(depth, with_cp=with_cp).train() for with_cp in (False, True)]
    nets[1].load_state_dict(nets[0].state_dict())
    x = torch.rand(1, 3, 32, 32)
    outs = [net(x) for net in nets]
    for net_outs in outs:
        sum(out.sum() for out in net_outs).backward()
    assert all(torch.allclose(a, b) for a, b in zip(*outs))
    grads = [[p.grad for p in net.parameters()] for net in nets]
    assert all(torch.allclose(a, b) for a, b in zip(*grads))


@pytest.mark.parametrize(('depth', 'last'), [(18, 'bn2'), (50, 'bn3')])
def test_zero_init_residual_makes_blocks_identities(depth, last):
    net = small(depth)
    net.init_weights()
    assert all(torch.count_nonzero(getattr(block, last).weight) == 0 for block in net.layer3)
    assert torch.equal(net.layer3[0].bn1.weight, torch.ones_like(net.layer3[0].bn1.weight))
    kept = small(depth, zero_init_residual=False)
    kept.init_weights()
    assert torch.equal(getattr(kept.layer3[0], last).weight, torch.ones_like(getattr(kept.layer3[0], last).weight))


def test_checkpoint_of_init_cfg_is_loaded_and_not_overwritten(tmp_path):
    source = small(18)
    torch.save(source.state_dict(), tmp_path / 'weights.pth')
    net = small(18, init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'weights.pth')))
    net.init_weights()
    assert all(torch.equal(a, b) for a, b in zip(source.state_dict().values(), net.state_dict().values()))


def test_pretrained_is_a_deprecated_init_cfg():
    with pytest.warns(UserWarning, match='pretrained is deprecated'):
        net = small(18, pretrained='torchvision://resnet18')
    assert net.init_cfg == dict(type='Pretrained', checkpoint='torchvision://resnet18')
    with pytest.raises(ValueError, match='init_cfg and pretrained'):
        small(18, pretrained='a.pth', init_cfg=dict(type='Kaiming', layer='Conv2d'))
    with pytest.raises(TypeError, match='pretrained: expected a path'):
        small(18, pretrained=True)


@pytest.mark.parametrize(
    ('kwargs', 'error', 'message'),
    [
        (dict(depth=20), KeyError, r'knows the depths \[18, 34, 50, 101, 152\], not 20'),
        (dict(depth=50, num_stages=5), ValueError, 'num_stages: expected 1 to 4, got 5'),
        (dict(depth=50, num_stages=3), ValueError, 'expected num_stages=3 entries'),
        (dict(depth=50, strides=(1, 2)), ValueError, 'expected num_stages=4 entries'),
        (dict(depth=50, out_indices=(4,)), ValueError, r'out_indices: expected numbers in \[0, 4\)'),
        (dict(depth=50, frozen_stages=5), ValueError, 'frozen_stages'),
        (dict(depth=50, style='tensorflow'), ValueError, "style: expected 'pytorch'"),
        (dict(depth=50, dcn=dict(type='DCN'), stage_with_dcn=(True,)), ValueError, 'stage_with_dcn'),
        (dict(depth=18, dcn=dict(type='DCN'), stage_with_dcn=(True,) * 4), ValueError, 'BasicBlock'),
    ],
)
def test_arguments_that_do_not_fit_are_refused(kwargs, error, message):
    with pytest.raises(error, match=message):
        ResNet(base_channels=4, **kwargs)


@pytest.mark.parametrize(
    ('plugin', 'message'),
    [
        (dict(cfg=dict(type='ContextBlock', ratio=1), position='after_conv4'), 'position of a plugin'),
        (dict(cfg=dict(type='ContextBlock', ratio=1), position='after_conv1', stages=(True,)), 'stages of a plugin'),
    ],
)
def test_plugins_that_do_not_fit_are_refused(plugin, message):
    with pytest.raises(ValueError, match=message):
        small(50, plugins=[plugin])


def test_two_plugins_of_one_name_are_refused():
    plugin = dict(cfg=dict(type='ContextBlock', ratio=1), position='after_conv1')
    with pytest.raises(ValueError, match="called 'context_block'"):
        small(50, plugins=[plugin, dict(plugin, position='after_conv2')])
