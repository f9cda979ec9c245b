import pytest
import torch
from darknet_hourglass_cases import identity
from torch import nn

from mmdet.models.backbones.darknet import Darknet, ResBlock
from mmdet.models.builder import build_backbone


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
