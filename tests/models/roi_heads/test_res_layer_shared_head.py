import pytest
import torch

from mmdet.models.backbones.resnet import ResNet
from mmdet.models.roi_heads.shared_heads.res_layer import ResLayer


@pytest.mark.parametrize(('depth', 'channels'), [(18, (256, 512)), (50, (1024, 2048))])
def test_shared_head_halves_rois_and_doubles_channels(depth, channels):
    head = ResLayer(depth, stage=3, stride=2).eval()
    assert head(torch.rand(2, channels[0], 14, 14)).shape == (2, channels[1], 7, 7)


def test_no_rois_give_no_features():
    assert ResLayer(18).eval()(torch.rand(0, 256, 14, 14)).shape == (0, 512, 7, 7)


def test_keys_are_those_of_the_backbone_stage():
    want = {k: v.shape for k, v in ResNet(50, style='caffe').state_dict().items() if k.startswith('layer4.')}
    assert {k: v.shape for k, v in ResLayer(50, style='caffe').state_dict().items()} == want


def test_same_numbers_as_the_backbone_stage():
    net, head = ResNet(18).eval(), ResLayer(18).eval()
    head.load_state_dict({k: v for k, v in net.state_dict().items() if k.startswith('layer4.')})
    x = torch.rand(1, 256, 4, 4)
    assert torch.equal(head(x), net.layer4(x))


@pytest.mark.parametrize('norm_eval', [True, False])
def test_norm_eval_keeps_batch_statistics(norm_eval):
    head = ResLayer(18, norm_eval=norm_eval).train()
    assert head.layer4[0].bn1.training is not norm_eval
    assert head.layer4[0].training


def test_unknown_depth_and_stage_are_refused():
    with pytest.raises(KeyError, match='knows the depths'):
        ResLayer(51)
    with pytest.raises(ValueError, match='stage: expected 1 to 3, got 4'):
        ResLayer(50, stage=4)
