import pytest
import torch
import torchvision
from torchvision.models.convnext import CNBlockConfig

from mmdet.core.optimizers import build_optimizer
from mmdet.models.backbones.convnext import ConvNeXt, ConvNeXtBlock, LayerNorm2d
from mmdet.models.builder import build_backbone, build_detector

TINY = dict(depths=[1, 2, 1], channels=[4, 8, 12])


def small(**kwargs):
    return ConvNeXt(**{'arch': TINY, 'gap_before_final_norm': False, 'out_indices': (0, 1, 2), **kwargs})


def test_torchvision_checkpoint_gives_torchvisions_numbers(tmp_path):
    torch.manual_seed(0)
    blocks = [CNBlockConfig(4, 8, 1), CNBlockConfig(8, 12, 2), CNBlockConfig(12, None, 1)]
    theirs = torchvision.models.ConvNeXt(blocks, stochastic_depth_prob=0.0, layer_scale=0.7).eval()
    torch.save(theirs.state_dict(), tmp_path / 'convnext.pth')
    ours = small(init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'convnext.pth'))).eval()
    ours.init_weights()
    x = torch.randn(2, 3, 32, 48)
    with torch.no_grad():
        for i, out in enumerate(ours(x)):
            assert torch.allclose(out, getattr(ours, f'norm{i}')(theirs.features[: 2 * i + 2](x)), atol=1e-5)


def test_checkpoint_with_a_prefix_in_our_names(tmp_path):
    source = small()
    torch.save({f'backbone.{k}': v for k, v in source.state_dict().items()}, tmp_path / 'own.pth')
    net = small(init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'own.pth'), prefix='backbone.'))
    net.init_weights()
    assert all(torch.equal(a, b) for a, b in zip(source.state_dict().values(), net.state_dict().values()))


def test_norm_of_each_pixel():
    out = LayerNorm2d(4)(torch.arange(24.0).view(1, 4, 2, 3))
    # each pixel holds n, n + 6, n + 12, n + 18
    assert torch.allclose(out[0, :, 1, 2], torch.tensor([-3.0, -1, 1, 3]) / 5**0.5, atol=1e-5)
    assert torch.allclose(out[0, :, 0, 0], out[0, :, 1, 2], atol=1e-5)


def test_linear_layers_and_convolutions_are_the_same_function():
    torch.manual_seed(0)
    linear, conv = ConvNeXtBlock(4, layer_scale_init_value=1.0), ConvNeXtBlock(4, linear_pw_conv=False)
    shapes = conv.state_dict()
    conv.load_state_dict({k: v.view(shapes[k].shape) for k, v in linear.state_dict().items()})
    x = torch.randn(1, 4, 8, 8)
    assert torch.allclose(linear(x), conv(x), atol=1e-5)
    assert ConvNeXtBlock(4, layer_scale_init_value=0.0).gamma is None


def test_with_cp_gives_the_same_gradients():
    torch.manual_seed(0)
    nets = [small(with_cp=with_cp) for with_cp in (False, True)]
    nets[1].load_state_dict(nets[0].state_dict())
    x = torch.randn(1, 3, 32, 32)
    for net in nets:
        sum(out.square().sum() for out in net(x)).backward()
    assert all(torch.allclose(a.grad, b.grad) for a, b in zip(*(net.parameters() for net in nets)))


def test_outputs_for_a_detector_and_for_a_classifier():
    net = build_backbone(dict(type='ConvNeXt', arch=TINY, out_indices=[-3, 2], gap_before_final_norm=False))
    assert [tuple(out.shape) for out in net(torch.rand(1, 3, 64, 96))] == [(1, 4, 16, 24), (1, 12, 4, 6)]
    assert [tuple(out.shape) for out in ConvNeXt(TINY)(torch.rand(2, 3, 64, 64))] == [(2, 12)]


def test_drop_path_grows_and_frozen_stages_stay():
    net = small(drop_path_rate=0.3, frozen_stages=1).train()
    rates = [getattr(block.drop_path, 'drop_prob', 0.0) for stage in net.stages for block in stage]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3])
    frozen = {tuple(n.split('.')[:2]) for n, p in net.named_parameters() if not p.requires_grad}
    assert frozen == {('downsample_layers', '0'), ('stages', '0')}
    assert not net.stages[0].training and net.stages[1].training


def test_initial_values_are_the_papers():
    net = small(arch=dict(depths=[1], channels=[64]), out_indices=(0,))
    net.init_weights()
    assert 0.018 < net.stages[0][0].pointwise_conv1.weight.std() < 0.022
    assert not net.stages[0][0].depthwise_conv.bias.any()


def test_layer_decay_knows_the_stages():
    model = build_detector(
        dict(
            type='RPN',
            backbone=dict(type='ConvNeXt', arch='tiny', out_indices=[0, 1, 2, 3], gap_before_final_norm=False),
            neck=dict(type='FPN', in_channels=[96, 192, 384, 768], out_channels=4, num_outs=5),
            rpn_head=dict(type='RPNHead', in_channels=4, feat_channels=4),
        )
    )
    cfg = dict(
        type='AdamW',
        lr=1.0,
        weight_decay=0.05,
        constructor='LearningRateDecayOptimizerConstructor',
        paramwise_cfg=dict(decay_rate=0.5, decay_type='layer_wise', num_layers=6),
    )
    rates = {name: group['lr'] for group in build_optimizer(model, cfg).param_groups for name in group['param_names']}
    assert set(rates) == {name for name, _ in model.named_parameters()}
    wanted = {
        'backbone.downsample_layers.0.0.weight': 7,
        'backbone.stages.0.2.gamma': 6,
        'backbone.stages.2.0.gamma': 4,
        'backbone.stages.2.8.gamma': 2,
        'backbone.stages.3.0.norm.bias': 1,
        'neck.lateral_convs.0.conv.weight': 0,
    }
    assert {name: rates[name] for name in wanted} == {name: 0.5**power for name, power in wanted.items()}


@pytest.mark.parametrize(
    ('kwargs', 'error', 'message'),
    [
        (dict(arch='smal'), KeyError, "did you mean 'small'"),
        (dict(arch=dict(depths=[1])), ValueError, r'expected a name, or dict\(depths'),
        (dict(out_indices=(3,)), ValueError, r'out_indices: expected numbers in \[-3, 3\)'),
        (dict(frozen_stages=4), ValueError, 'frozen_stages'),
    ],
)
def test_arguments_that_do_not_fit_are_refused(kwargs, error, message):
    with pytest.raises(error, match=message):
        small(**kwargs)
