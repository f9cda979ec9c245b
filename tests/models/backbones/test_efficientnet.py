import pytest
import torch
import torchvision
from torch import nn

from mmdet.models.backbones.efficientnet import EdgeResidual, EfficientNet
from mmdet.models.builder import build_backbone


def test_numbers_are_torchvisions():
    torch.manual_seed(0)
    theirs = torchvision.models.efficientnet_b0().features.eval().double()
    for module in theirs.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=(3 / module.weight[0].numel()) ** 0.5)
    # torchvision pads alike on all sides, and has two entries more in its list: the stages of one stride are split
    ours = EfficientNet('b0', conv_cfg=None, norm_cfg=dict(type='BN'), out_indices=range(7)).eval().double()
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    x = torch.randn(1, 3, 64, 64).double()  # in single precision, rounding grows through the gates
    with torch.no_grad():
        for out, end in zip(ours(x), (1, 2, 3, 4, 6, 8, 9), strict=True):
            want = theirs[:end](x)
            scale = want.abs().max()
            assert scale > 1 and (out - want).abs().max() < 1e-9 * scale


@pytest.mark.parametrize(
    ('arch', 'params'),
    # of the published networks, without their classifiers
    [('b0', 4007548), ('b3', 10696232), ('el', 9052712)],
)
def test_number_of_parameters(arch, params, monkeypatch):
    for name in dir(nn.init):
        if name.endswith('_') and not name.startswith('_'):
            monkeypatch.setattr(nn.init, name, lambda tensor, *args, **kwargs: tensor)
    assert sum(p.numel() for p in EfficientNet(arch).parameters()) == params


def test_layers_behind_the_last_output_are_not_built():
    net = build_backbone(dict(type='EfficientNet', out_indices=(2, 3), drop_path_rate=0.15))
    assert len(net.layers) == 4
    outs = net(torch.rand(1, 3, 65, 65))
    assert [tuple(out.shape) for out in outs] == [(1, 24, 17, 17), (1, 40, 9, 9)]
    rates = [getattr(m, 'drop_path', None) for layer in list(net.layers)[1:] for m in layer]
    # the first of 16 blocks has rate 0, the second 0.01
    assert [getattr(rate, 'drop_prob', 0.0) for rate in rates] == pytest.approx([0.01 * i for i in range(5)])


def test_edge_network_has_plain_blocks_first():
    net = EfficientNet('es', out_indices=(1, 2, 3))
    first, second = net.layers[1][0], net.layers[2][1]
    assert isinstance(first, EdgeResidual) and not first.with_residual and second.with_residual
    assert (first.conv1.conv.out_channels, second.conv1.conv.out_channels) == (96, 256)
    outs = net(torch.rand(2, 3, 32, 32))
    assert [tuple(out.shape) for out in outs] == [(2, 24, 16, 16), (2, 32, 8, 8), (2, 48, 4, 4)]


def test_edge_residual_adds_its_layers_to_the_input():
    block = EdgeResidual(4, 4, 8, se_cfg=dict(channels=8, ratio=4)).eval()
    x = torch.randn(1, 4, 5, 5)
    nn.init.zeros_(block.conv2.bn.weight)
    assert torch.equal(block(x), x)
    assert EdgeResidual(4, 4, 8, with_residual=False).eval()(x).shape == x.shape
    with pytest.raises(ValueError, match='stride: expected 1 or 2'):
        EdgeResidual(4, 4, 8, stride=3)


def test_frozen_stages_and_norm_eval():
    net = EfficientNet(out_indices=(2,), frozen_stages=2, norm_eval=True).train()
    frozen = {name.split('.')[1] for name, p in net.named_parameters() if not p.requires_grad}
    assert frozen == {'0', '1'} and not net.layers[1].training and net.layers[2].training
    assert not net.layers[2][0].linear_conv.bn.training


@pytest.mark.parametrize(
    ('kwargs', 'error', 'message'),
    [
        (dict(arch='b9'), KeyError, 'Known: b0, b1'),
        (dict(out_indices=(7,)), ValueError, r'out_indices: expected numbers in \[0, 7\)'),
        (dict(out_indices=()), ValueError, 'out_indices'),
        (dict(frozen_stages=-1), ValueError, 'frozen_stages'),
    ],
)
def test_arguments_that_do_not_fit_are_refused(kwargs, error, message):
    with pytest.raises(error, match=message):
        EfficientNet(**kwargs)
