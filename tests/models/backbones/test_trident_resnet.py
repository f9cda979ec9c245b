import pytest
import torch
import torch.nn.functional as F

from mmdet.models.backbones.layers.resnet_blocks import Bottleneck
from mmdet.models.backbones.trident_resnet import TridentBottleneck, TridentConv
from mmdet.models.builder import build_backbone

TRIDENT = dict(
    type='TridentResNet', depth=50, base_channels=2, num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1),
    out_indices=(2,), num_branch=2, test_branch_idx=1, trident_dilations=(1, 2),
)  # fmt: skip


def trident(**kwargs):
    torch.manual_seed(0)
    return build_backbone({**TRIDENT, **kwargs})


def test_branches_share_the_weights_and_differ_in_dilation():
    conv, x = TridentConv(2, 3, 3, trident_dilations=(1, 2), bias=True), torch.randn(1, 2, 7, 7)
    outs = conv([x, x])
    for out, dilation in zip(outs, (1, 2), strict=True):
        wanted = F.conv2d(x, conv.weight, conv.bias, padding=dilation, dilation=dilation)
        torch.testing.assert_close(out, wanted)


@pytest.mark.parametrize('test_branch_idx, used', [(-1, [0, 1]), (1, [1])])
def test_a_test_uses_the_named_branch(test_branch_idx, used):
    conv, x = TridentConv(2, 3, 3, trident_dilations=(1, 2), test_branch_idx=test_branch_idx), torch.randn(1, 2, 7, 7)
    both = conv([x, x])
    outs = conv.eval()([x] * len(used))
    assert all(out.equal(both[i]) for out, i in zip(outs, used, strict=True))


@pytest.mark.parametrize('with_cp', [False, True])
def test_each_branch_is_a_bottleneck_of_its_dilation(with_cp):
    settings = dict(inplanes=8, planes=2, with_cp=with_cp)
    block = TridentBottleneck((1, 3), -1, True, **settings).eval()
    x = torch.randn(2, 8, 6, 6, requires_grad=True)
    outs = []
    for dilation in (1, 3):
        plain = Bottleneck(8, 2, dilation=dilation).eval()
        plain.load_state_dict(block.state_dict())
        outs.append(plain(x))
    torch.testing.assert_close(block(x), torch.cat(outs))  # all images of a branch together
    torch.testing.assert_close(block([x, x + 1])[:2], outs[0])


def test_the_last_stage_multiplies_the_batch():
    model, x = trident(), torch.randn(2, 3, 32, 32)
    (training,), (tested,) = model.train()(x), model.eval()(x)
    assert training.shape == (4, 32, 2, 2) and tested.shape == (2, 32, 2, 2)
    torch.testing.assert_close(training[2:], tested)  # statistics of norms are fixed


def test_frozen_stages_reach_the_branches():
    model = trident(frozen_stages=3)
    model.train()
    assert not any(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(
    'wrong, message',
    [
        (dict(num_stages=4), 'num_stages: TridentResNet needs 3'),
        (dict(depth=18), 'expected 50, 101 or 152, got 18'),
        (dict(num_branch=3), 'expected num_branch=3 entries'),
    ],
)
def test_unfit_settings_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        trident(**wrong)
