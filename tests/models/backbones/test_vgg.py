"""VGG against torchvision's, whose weights it loads."""

import pytest
import torch
from torchvision import models

from mmdet.models.backbones.vgg import VGG
from mmdet.models.roi_heads.bbox_heads.vgg_bbox_head import VGGBBoxHead


@pytest.fixture(scope='module')
def vgg16(tmp_path_factory):
    """torchvision's model with random weights, and a file of them."""
    torch.manual_seed(0)
    with torch.device('meta'):
        model = models.vgg16()
    model = model.to_empty(device='cpu').eval()
    for name, param in model.named_parameters():
        # the wide layers stay zero but for a few rows: drawing 120 million numbers takes seconds
        torch.nn.init.zeros_(param)
        (param if 'features' in name else param[:4]).data.normal_(0, 0.05)
    path = tmp_path_factory.mktemp('vgg') / 'vgg16.pth'
    torch.save(model.state_dict(), path)
    return model, str(path)


def test_vgg16_from_a_file_gives_the_features_before_the_fifth_pooling(vgg16):
    reference, path = vgg16
    model = VGG(out_indices=(3, 4), init_cfg=dict(type='Pretrained', checkpoint=path)).eval()
    model.init_weights()
    image = torch.rand(1, 3, 48, 64)
    with torch.no_grad():
        stage4, stage5 = model(image)
        assert torch.equal(stage5, reference.features[:-1](image))
    assert stage4.shape == (1, 512, 6, 8) and stage5.shape == (1, 512, 3, 4)


def test_box_head_starts_from_the_classifier_of_the_file(vgg16):
    reference, path = vgg16
    head = VGGBBoxHead(pretrained_fcs=path, in_channels=512, roi_feat_size=7, num_classes=3).eval()
    head.init_weights()
    features = torch.rand(2, 512, 7, 7)
    with torch.no_grad():
        assert torch.equal(head.fcs(features.flatten(1)), reference.classifier[:6](features.flatten(1)))
        scores, boxes = head(features)
    assert scores.shape == (2, 4) and boxes.shape == (2, 12)
    assert head.fc_cls.weight.std().item() == pytest.approx(0.01, rel=0.1)


def test_box_head_without_a_file_starts_from_xavier():
    head = VGGBBoxHead(8, pretrained_fcs=None, in_channels=4, roi_feat_size=3, num_classes=2)
    head.init_weights()
    bound = (6 / (4 * 9 + 8)) ** 0.5
    assert 0.8 * bound < head.fcs[0].weight.abs().max().item() <= bound and not head.fcs[0].bias.any()


@pytest.mark.parametrize(('depth', 'convolutions'), [(11, 8), (13, 10), (16, 13), (19, 16)])
def test_vgg_depths_have_their_convolutions_and_stride_16(depth, convolutions):
    model = VGG(depth, width=16)
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in model.features) == convolutions
    assert model(torch.rand(1, 3, 32, 48))[0].shape == (1, 32, 2, 3)


def test_vgg_frozen_stages_get_no_gradient():
    model = VGG(16, frozen_stages=2, width=16).train()
    model(torch.rand(1, 3, 16, 16))[0].sum().backward()
    trained = [name for name, param in model.named_parameters() if param.grad is not None]
    assert trained[0] == 'features.10.weight' and len(trained) == 18  # conv3_1 is the 11th layer


@pytest.mark.parametrize('wrong', [dict(depth=15), dict(out_indices=(5,)), dict(out_indices=()), dict(frozen_stages=6)])
def test_vgg_refuses_impossible_arguments(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        VGG(**wrong)
