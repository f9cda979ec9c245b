import pytest
import torch

from mmdet.models.backbones.regnet import RegNet


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
