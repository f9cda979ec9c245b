import pytest
import torch
from torch import nn

from mmdet.models.backbones.detectors_resnet import DetectoRS_ResNet
from mmdet.models.necks.fpn import FPN
from mmdet.models.necks.rfp import ASPP, RFP

BACKBONE = dict(type='DetectoRS_ResNet', depth=50, base_channels=2, rfp_inplanes=4)


def neck_and_inputs(rfp_steps=2, num_outs=5):
    neck = RFP(
        rfp_steps, BACKBONE, aspp_out_channels=1, in_channels=[8, 16, 32, 64], out_channels=4, num_outs=num_outs
    ).eval()
    neck.init_weights()
    backbone = DetectoRS_ResNet(depth=50, base_channels=2, output_img=True).eval()
    return neck, backbone(torch.rand(1, 3, 64, 64))


def test_first_round_alone_is_fpn():
    neck, inputs = neck_and_inputs(rfp_steps=1)
    assert all(torch.equal(a, b) for a, b in zip(neck(inputs), FPN.forward(neck, inputs[1:])))


def test_rounds_share_the_pyramid_and_count_equally_at_first():
    neck, (image, *maps) = neck_and_inputs()
    first, second = FPN.forward(neck, maps), FPN.forward(neck, neck.rfp_modules[0](image))
    outs = neck((image, *maps))
    assert [out.shape for out in outs] == [(1, 4, s, s) for s in (16, 8, 4, 2, 1)]
    for out, a, b in zip(outs, first, second):
        torch.testing.assert_close(out, (a + b) / 2)


def test_the_new_round_says_how_much_it_counts():
    neck, (image, *maps) = neck_and_inputs()
    nn.init.constant_(neck.rfp_weight.bias, 100)
    second = FPN.forward(neck, neck.rfp_modules[0](image))
    assert all(torch.allclose(a, b) for a, b in zip(neck((image, *maps)), second))


def test_what_is_fed_back_reaches_the_backbone_and_every_parameter_learns():
    neck, (image, *maps) = neck_and_inputs()
    before = neck((image, *maps))
    nn.init.ones_(neck.rfp_modules[0].layer2[0].rfp_conv.weight)
    after = neck((image, *maps))
    assert not torch.allclose(before[1], after[1])
    sum(out.sum() for out in after).backward()
    without = {name for name, p in neck.named_parameters() if p.grad is None}
    assert without == set()


def test_three_rounds_have_two_further_backbones():
    neck, inputs = neck_and_inputs(rfp_steps=3, num_outs=4)
    assert len(neck.rfp_modules) == 2 and len(neck(inputs)) == 4


def test_aspp_branches_by_hand():
    aspp = ASPP(1, 1, dilations=(1, 3, 1))
    assert [(conv.kernel_size[0], conv.dilation[0]) for conv in aspp.aspp] == [(1, 1), (3, 3), (1, 1)]
    for conv in aspp.aspp:
        nn.init.ones_(conv.weight)
        nn.init.zeros_(conv.bias)
    x = torch.arange(16.0).view(1, 1, 4, 4) - 1
    out = aspp(x)[0]
    assert torch.equal(out[0], x[0, 0].clamp(min=0))
    assert out[1, 0, 0] == -1 + 2 + 11 + 14  # the corner sees all four corners
    assert torch.equal(out[2], torch.full((4, 4), 6.5))


def test_arguments_that_do_not_fit_are_refused():
    neck, inputs = neck_and_inputs(rfp_steps=1)
    with pytest.raises(ValueError, match='expected the image and 4 maps, got 4 inputs; the backbone needs output_img'):
        neck(inputs[1:])
    with pytest.raises(ValueError, match='init_cfg must be None'):
        RFP(2, BACKBONE, 1, init_cfg=dict(type='Xavier'), in_channels=[8], out_channels=4, num_outs=1)
    with pytest.raises(ValueError, match='rfp_steps: expected at least 1'):
        RFP(0, BACKBONE, 1, in_channels=[8], out_channels=4, num_outs=1)
    with pytest.raises(ValueError, match='its dilation must be 1'):
        ASPP(1, 1, dilations=(1, 3))
