import pytest
import torch
import torchvision

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
