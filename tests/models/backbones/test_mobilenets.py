import pytest
import torch
import torchvision

from mmdet.models.backbones.mobilenet_v1 import MobileNetV1
from mmdet.models.backbones.mobilenet_v2 import MobileNetV2
from mmdet.models.backbones.mobilenet_v3 import MobileNetV3
from mmdet.models.backbones.resnet import ResNet
from mmdet.models.builder import build_backbone, build_neck


def lively(net):
    """A network whose outputs are neither tiny nor huge."""
    torch.manual_seed(0)
    for name, value in net.state_dict().items():
        if name.endswith('running_var'):
            value.uniform_(0.5, 1.5)
        elif value.dim() == 4:
            value.normal_(std=(2 / value[0].numel()) ** 0.5)
    return net.eval()


def pretrained(path):
    return dict(type='Pretrained', checkpoint=str(path))


@pytest.mark.parametrize(
    ('ours', 'theirs', 'ends'),
    [
        (MobileNetV2, dict(name='mobilenet_v2', width_mult=0.5), (1, 3, 6, 10, 13, 16, 17, 18)),
        (MobileNetV3, dict(name='mobilenet_v3_large', width_mult=0.75), (1, 3, 6, 12, 15, 16)),
        (
            lambda **kw: MobileNetV3('small', **kw),
            dict(name='mobilenet_v3_small', width_mult=0.75),
            (0, 1, 3, 8, 11, 12),
        ),
    ],
)
def test_torchvision_checkpoint_gives_torchvisions_numbers(ours, theirs, ends, tmp_path):
    reference = lively(torchvision.models.get_model(**theirs))
    torch.save(reference.state_dict(), tmp_path / 'weights.pth')
    net = ours(
        widen_factor=theirs['width_mult'], out_indices=range(len(ends)), init_cfg=pretrained(tmp_path / 'weights.pth')
    ).eval()
    net.init_weights()
    x = torch.randn(1, 3, 32, 64)
    with torch.no_grad():
        for out, end in zip(net(x), ends, strict=True):
            assert torch.equal(out, reference.features[: end + 1](x)) and out.abs().max() > 1e-3


def test_torchvision_name_is_read_from_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    (tmp_path / 'hub/checkpoints').mkdir(parents=True)
    for name, net in (('resnet18', ResNet(18)), ('mobilenet_v3_small', MobileNetV3('small'))):
        reference = torchvision.models.get_model(name)
        url = torchvision.models.get_model_weights(name).IMAGENET1K_V1.url
        torch.save(reference.state_dict(), tmp_path / 'hub/checkpoints' / url.rsplit('/', 1)[1])
        net.init_cfg = pretrained(f'torchvision://{name}')
        net.init_weights()
        first = reference.conv1 if name == 'resnet18' else reference.features[0][0]
        assert torch.equal((net.conv1 if name == 'resnet18' else net.conv1.conv).weight, first.weight)


def test_own_checkpoint_is_loaded_too(tmp_path):
    source = MobileNetV3('small', widen_factor=0.25)
    torch.save(dict(state_dict=source.state_dict()), tmp_path / 'own.pth')
    net = MobileNetV3('small', widen_factor=0.25, init_cfg=pretrained(tmp_path / 'own.pth'))
    net.init_weights()
    assert all(torch.equal(a, b) for a, b in zip(source.state_dict().values(), net.state_dict().values()))


@pytest.mark.parametrize(
    ('cfg', 'channels'),
    [
        (dict(type='MobileNetV1'), [32, 64, 128, 256]),
        (dict(type='MobileNetV2', out_indices=(1, 2, 4, 6)), [8, 8, 24, 80]),
        (dict(type='MobileNetV3'), [8, 16, 32, 40]),
        (dict(type='MobileNetV3', arch='small'), [8, 8, 16, 24]),
    ],
)
def test_strides_4_to_32_feed_a_pyramid(cfg, channels):
    net = build_backbone(dict(cfg, widen_factor=0.25))
    outs = net(torch.rand(2, 3, 64, 64))
    assert [out.size(1) for out in outs] == channels and [out.size(-1) for out in outs] == [16, 8, 4, 2]
    neck = build_neck(dict(type='FPN', in_channels=channels, out_channels=4, num_outs=5))
    sum(level.square().sum() for level in neck(outs)).backward()
    # mmdetection's second version always has its last layer
    last = {'conv2'} if cfg['type'] == 'MobileNetV2' else set()
    assert {name.split('.')[0] for name, p in net.named_parameters() if p.grad is None} == last


def test_first_version_has_the_papers_widths():
    net = MobileNetV1(out_indices=range(5))
    assert [out.size(1) for out in net(torch.rand(2, 3, 32, 32))] == [64, 128, 256, 512, 1024]
    convs = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convs) == 27 and sum(conv.weight.numel() for conv in convs) == 3185088


@pytest.mark.parametrize('build', [MobileNetV1, MobileNetV3])
def test_frozen_stages_and_norm_eval(build):
    net = build(widen_factor=0.25, frozen_stages=2, norm_eval=True).train()
    frozen = {name.split('.')[0] for name, p in net.named_parameters() if not p.requires_grad}
    assert frozen == {'conv1', 'layer1', 'layer2'}
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert net.layer3.training and not any(norm.training for norm in norms)
    with pytest.raises(ValueError, match=r'frozen_stages: expected a number in \[-1, 5\], got 6'):
        build(frozen_stages=6)
    with pytest.raises(ValueError, match='out_indices'):
        build(out_indices=(6,))
    with pytest.raises(ValueError, match='out_indices'):
        build(out_indices=())


def test_third_version_with_cp_gives_the_same_gradients_and_knows_its_kinds():
    plain = MobileNetV3('small', widen_factor=0.25)
    saving = MobileNetV3('small', widen_factor=0.25, with_cp=True)
    saving.load_state_dict(plain.state_dict())
    x = torch.rand(2, 3, 64, 64)
    for net in (plain.eval(), saving.eval()):
        sum(out.square().sum() for out in net(x)).backward()
    pairs = [(a.grad, b.grad) for a, b in zip(plain.parameters(), saving.parameters())]
    assert len(pairs) > 100 and all(torch.allclose(a, b) for a, b in pairs)
    with pytest.raises(KeyError, match="'small', 'large_split', got 'larg'; did you mean 'large'"):
        MobileNetV3('larg')
