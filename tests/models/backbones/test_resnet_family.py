import pytest
import torch
import torchvision
from torch import nn

from mmdet.models.backbones.regnet import RegNet
from mmdet.models.backbones.res2net import Bottle2neck, Res2Net
from mmdet.models.backbones.resnest import ResNeSt, RSoftmax, SplitAttentionConv2d
from mmdet.models.backbones.resnet import ResNet
from mmdet.models.backbones.resnext import ResNeXt


@pytest.mark.parametrize(
    ('ours', 'theirs'),
    [
        (lambda: ResNet(18), 'resnet18'),
        (lambda: ResNet(50), 'resnet50'),
        (lambda: ResNeXt(depth=50, groups=32, base_width=4), 'resnext50_32x4d'),
    ],
)
def test_same_keys_and_numbers_as_torchvision(ours, theirs):
    net, reference = ours().eval(), torchvision.models.get_model(theirs).eval()
    weights = {k: v for k, v in reference.state_dict().items() if not k.startswith('fc.')}
    net.load_state_dict(weights, strict=True)
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        want = reference.maxpool(reference.relu(reference.bn1(reference.conv1(x))))
        for out, stage in zip(net(x), (reference.layer1, reference.layer2, reference.layer3, reference.layer4)):
            want = stage(want)
            assert torch.allclose(out, want, rtol=1e-4, atol=1e-5)


def test_resnext_groups_widen_with_the_stages():
    net = ResNeXt(depth=50, groups=4, base_width=2, base_channels=8)
    convs = [getattr(net, name)[0].conv2 for name in net.res_layers]
    assert [(c.in_channels, c.groups) for c in convs] == [(8, 4), (16, 4), (32, 4), (64, 4)]


def test_regnet_widths_and_blocks_are_those_of_the_paper():
    net = RegNet('regnetx_3.2gf')
    assert net.stage_widths == [96, 192, 432, 1008] and net.stage_blocks == (2, 6, 15, 2)
    assert [getattr(net, name)[0].conv2.groups for name in net.res_layers] == [2, 4, 9, 21]


def test_regnet_takes_its_own_numbers_and_has_stride_4_to_32():
    arch = dict(w0=8, wa=8.0, wm=2.0, group_w=8, depth=8, bot_mul=1.0)
    net = RegNet(arch, stem_channels=4).eval()
    outs = net(torch.rand(1, 3, 64, 64))
    assert [out.shape[1:] for out in outs] == [(w, 64 // s, 64 // s) for w, s in zip(net.stage_widths, (4, 8, 16, 32))]


def test_regnet_refuses_what_it_does_not_know():
    with pytest.raises(KeyError, match="did you mean 'regnetx_400mf'"):
        RegNet('regnetx_400m')
    with pytest.raises(KeyError, match='lacks'):
        RegNet(dict(w0=8))
    with pytest.raises(ValueError, match='deep stem'):
        RegNet('regnetx_400mf', deep_stem=True)


def identity_middle(stage_type):
    """A middle of three slices of one channel whose convolutions and norms pass their input on."""
    block = Bottle2neck(12, 1, scales=3, base_width=1, base_channels=1, stage_type=stage_type).eval()
    for conv in block.convs:
        nn.init.dirac_(conv.weight)
    return block


@pytest.mark.parametrize(('stage_type', 'want'), [('normal', [1, 3, 4]), ('stage', [1, 2, 4])])
def test_res2net_slices_see_the_slice_before(stage_type, want):
    x = torch.tensor([1.0, 2.0, 4.0]).reshape(1, 3, 1, 1)
    assert torch.allclose(identity_middle(stage_type)._middle(x).flatten(), torch.tensor(want).float(), atol=1e-4)


def test_res2net_pools_the_last_slice_where_it_strides():
    net = Res2Net(depth=50, scales=2, base_width=2, base_channels=4).eval()
    assert isinstance(net.layer2[0].pool, nn.AvgPool2d) and not hasattr(net.layer1[0], 'pool')
    assert [out.shape[-1] for out in net(torch.rand(1, 3, 64, 64))] == [16, 8, 4, 2]


def test_res2net_refuses_one_slice():
    with pytest.raises(ValueError, match='scales >= 2'):
        Bottle2neck(16, 4, scales=1)


def test_rsoftmax_sums_to_one_over_the_splits_of_a_group():
    x = torch.randn(2, 12, 1, 1)  # 2 groups of 3 splits of 2 channels
    out = RSoftmax(3, 2)(x).view(2, 3, 2, 2)
    assert torch.allclose(out.sum(1), torch.ones(2, 2, 2))
    assert torch.allclose(out[:, :, 1], x.view(2, 2, 3, 2)[:, 1].softmax(1))
    assert torch.equal(RSoftmax(1, 2)(x), x.sigmoid().flatten(1))


@pytest.mark.parametrize('radix', [1, 2])
def test_split_attention_with_equal_weights_is_the_mean_of_the_splits(radix):
    conv = SplitAttentionConv2d(4, 4, 1, radix=radix).eval()
    nn.init.zeros_(conv.fc2.weight)
    nn.init.zeros_(conv.fc2.bias)
    x = torch.rand(2, 4, 3, 3)
    splits = conv.norm0(conv.conv(x)).relu().view(2, radix, 4, 3, 3)
    assert torch.allclose(conv(x), splits.sum(1) / 2, atol=1e-6)  # softmax of two zeros, sigmoid of zero


def test_resnest_has_stride_4_to_32():
    net = ResNeSt(depth=50, base_channels=4, stem_channels=8, radix=2).eval()
    assert [out.shape[-1] for out in net(torch.rand(1, 3, 64, 64))] == [16, 8, 4, 2]
    assert net.layer2[0].conv2.conv.stride == (1, 1) and net.layer2[0].avd_layer.stride == 2
