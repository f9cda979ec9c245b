import pytest
import torch

from mmdet.models.backbones.mobilenet_v2 import MobileNetV2


def test_mobilenet_outputs_have_the_usual_widths_and_strides():
    net = MobileNetV2(out_indices=range(8)).eval()
    outs = net(torch.rand(1, 3, 64, 64))
    assert [out.shape[1] for out in outs] == [16, 24, 32, 64, 96, 160, 320, 1280]
    assert [64 // out.shape[-1] for out in outs] == [2, 4, 8, 16, 16, 32, 32, 32]


@pytest.mark.parametrize(('factor', 'first', 'last'), [(0.5, 16, 1280), (1.4, 48, 1792)])
def test_mobilenet_widths_follow_the_factor_but_the_last_is_not_narrower(factor, first, last):
    net = MobileNetV2(widen_factor=factor)
    assert net.conv1.conv.out_channels == first and net.out_channel == last


def test_mobilenet_frozen_stages_and_norm_eval():
    net = MobileNetV2(widen_factor=0.25, frozen_stages=2, norm_eval=True).train()
    assert {n.split('.')[0] for n, p in net.named_parameters() if not p.requires_grad} == {'conv1', 'layer1', 'layer2'}
    assert net.layer3.training and not net.layer3[0].linear_conv.bn.training
    assert not net.layer2.training


def test_mobilenet_refuses_numbers_out_of_range():
    with pytest.raises(ValueError, match='out_indices'):
        MobileNetV2(out_indices=(8,))
    with pytest.raises(ValueError, match='frozen_stages'):
        MobileNetV2(frozen_stages=8)
