import pytest
import torch
from mmcv.cnn import ConvAWS2d
from torch import nn

from mmdet.models.backbones.detectors_resnet import Bottleneck, DetectoRS_ResNet, ResLayer
from mmdet.models.backbones.detectors_resnext import DetectoRS_ResNeXt
from mmdet.models.backbones.resnet import ResNet
from mmdet.models.backbones.resnext import ResNeXt
from mmdet.ops import SAConv2d

SAC = dict(sac=dict(type='SAC', use_deform=True), stage_with_sac=(False, True, True, True))
RFP_CHANNELS = 6


def small(cls=DetectoRS_ResNet, **kwargs):
    return cls(depth=50, base_channels=4, **kwargs)


def same_outputs(ours, theirs, tolerance=1e-6):
    x = torch.rand(1, 3, 64, 64, dtype=torch.double)  # weights standardised, not initialised, let values grow fast
    with torch.no_grad():
        pairs = zip(ours.double().eval()(x), theirs.double().eval()(x))
        return all((a - b).abs().max() < tolerance * b.abs().max() for a, b in pairs)


@pytest.mark.parametrize(
    ('ours', 'theirs', 'kwargs'),
    [(DetectoRS_ResNet, ResNet, {}), (DetectoRS_ResNeXt, ResNeXt, dict(groups=2, base_width=2))],
)
def test_switchable_convolutions_and_room_for_feedback_are_without_effect_at_first(ours, theirs, kwargs):
    net = small(ours, conv_cfg=dict(type='ConvAWS'), rfp_inplanes=RFP_CHANNELS, **SAC, **kwargs)
    plain = small(theirs, conv_cfg=dict(type='ConvAWS'), **kwargs)
    net.init_weights()
    missing = net.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert {key.split('.')[2] for key in missing} == {'conv2', 'rfp_conv'}
    assert same_outputs(net, plain)


def test_sac_stands_in_the_chosen_stages_only():
    net = small(conv_cfg=dict(type='ConvAWS'), **SAC)
    kinds = [{type(block.conv2) for block in getattr(net, name)} for name in net.res_layers]
    assert kinds == [{ConvAWS2d}, {SAConv2d}, {SAConv2d}, {SAConv2d}]
    assert type(net.conv1) is type(net.layer2[0].conv1) is type(net.layer2[0].downsample[0]) is ConvAWS2d
    assert net.layer2[0].conv2.stride == (2, 2)


def test_resnext_convolutions_are_grouped():
    net = small(DetectoRS_ResNeXt, groups=4, base_width=2, rfp_inplanes=RFP_CHANNELS, **SAC)
    convs = [getattr(net, name)[0].conv2 for name in net.res_layers]
    assert [(c.in_channels, c.groups) for c in convs] == [(8, 4), (16, 4), (32, 4), (64, 4)]
    assert net.layer2[0].rfp_conv.out_channels == 32


def test_output_img_puts_the_image_first():
    x = torch.rand(1, 3, 32, 32)
    outs = small(output_img=True).eval()(x)
    assert outs[0] is x and [out.shape[-1] for out in outs[1:]] == [8, 4, 2, 1]


def test_fed_back_features_are_added_before_the_relu():
    block = Bottleneck(4, 1, rfp_inplanes=2).eval()
    for conv in (block.conv1, block.conv2, block.conv3):
        nn.init.zeros_(conv.weight)
    block.rfp_conv.weight.data[:, 0] = torch.tensor([1.0, 2.0, -1.0, -5.0])[:, None, None]
    x, fed_back = torch.full((1, 4, 1, 1), 3.0), torch.tensor([1.0, 100.0]).view(1, 2, 1, 1)
    assert block.rfp_forward(x, fed_back).flatten().tolist() == [4, 5, 2, 0]
    assert torch.equal(block(x), x)
    block.rfp_conv = None
    assert torch.equal(block.rfp_forward(x, None), x)


def test_rfp_forward_feeds_the_first_block_of_every_stage_but_the_first():
    net = small(rfp_inplanes=RFP_CHANNELS).eval()
    rooms = [[block.rfp_conv is not None for block in getattr(net, name)] for name in net.res_layers]
    assert [sum(room) for room in rooms] == [0, 1, 1, 1] and all(room[0] for room in rooms[1:])
    x = torch.rand(1, 3, 64, 64)
    fed_back = [torch.rand(1, RFP_CHANNELS, s, s) for s in (16, 8, 4, 2)]
    assert all(torch.equal(a, b) for a, b in zip(net.rfp_forward(x, fed_back), net(x)))
    nn.init.ones_(net.layer3[0].rfp_conv.weight)
    changed = [not torch.equal(a, b) for a, b in zip(net.rfp_forward(x, fed_back), net(x))]
    assert changed == [False, False, True, True]


def test_initialisation_from_scratch_leaves_the_additions_without_effect():
    net = small(rfp_inplanes=RFP_CHANNELS, **SAC)
    for block in net.layer2:
        nn.init.ones_(block.conv2.switch.weight)
    nn.init.ones_(net.layer2[0].rfp_conv.weight)
    net.init_weights()
    assert not any(block.conv2.switch.weight.any() or block.conv2.offset_s.weight.any() for block in net.layer2)
    assert not net.layer2[0].rfp_conv.weight.any()
    assert not net.layer2[0].bn3.weight.any()  # zero_init_residual
    assert net.layer2[0].conv1.weight.std() > 0.1


def test_checkpoint_of_a_resnet_gives_a_resnet(tmp_path):
    plain = small(ResNet)
    torch.save(plain.state_dict(), tmp_path / 'resnet.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'resnet.pth'))
    net = small(conv_cfg=dict(type='ConvAWS'), rfp_inplanes=RFP_CHANNELS, init_cfg=init_cfg, **SAC)
    net.init_weights()
    assert same_outputs(net, plain, tolerance=1e-2)  # the spread of the weights is kept but for an epsilon
    assert not any(block.conv2.switch.weight.any() for block in net.layer4)
    assert not net.layer4[0].rfp_conv.weight.any()


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (lambda: small(sac=SAC['sac'], stage_with_sac=(True,)), 'stage_with_sac: expected num_stages=4 entries'),
        (lambda: Bottleneck(4, 1, sac=SAC['sac'], dcn=dict(type='DCN')), 'sac and dcn both choose'),
        (lambda: ResLayer(Bottleneck, 4, 1, 2, downsample_first=False), 'downsample_first'),
        (lambda: small().rfp_forward(torch.rand(1, 3, 32, 32), []), 'rfp_feats: expected one a stage, 4, got 0'),
    ],
)
def test_arguments_that_do_not_fit_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
