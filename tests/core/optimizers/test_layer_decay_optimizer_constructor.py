import pytest
import torch
from torch import nn

from mmdet.core.optimizers import build_optimizer
from mmdet.core.optimizers.layer_decay_optimizer_constructor import get_layer_id_for_convnext, get_stage_id_for_convnext


class ConvNeXt(nn.Module):
    def __init__(self):
        super().__init__()
        self.downsample_layers = nn.ModuleList([nn.Conv2d(1, 1, 1)])
        self.stages = nn.ModuleList([nn.ModuleList([nn.Conv2d(1, 1, 1)])])


class Net(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(1, 1)


@pytest.mark.parametrize(
    ('name', 'layer', 'stage'),
    [
        ('backbone.downsample_layers.0.0.weight', 0, 0),
        ('backbone.downsample_layers.2.1.bias', 3, 0),
        ('backbone.downsample_layers.3.1.bias', 12, 0),
        ('backbone.stages.0.1.gamma', 1, 1),
        ('backbone.stages.2.7.gamma', 5, 3),
        ('backbone.stages.3.0.gamma', 12, 4),
        ('backbone.norm3.weight', 13, 5),
        ('bbox_head.fc.weight', 13, 5),
    ],
)
def test_layers_and_stages_of_convnext(name, layer, stage):
    assert (get_layer_id_for_convnext(name, 12), get_stage_id_for_convnext(name, 6)) == (layer, stage)


def test_layer_decay_gives_each_layer_its_rate():
    cfg = dict(
        type='AdamW',
        lr=1.0,
        weight_decay=0.1,
        constructor='LearningRateDecayOptimizerConstructor',
        paramwise_cfg=dict(num_layers=4, decay_rate=0.5, decay_type='layer_wise'),
    )
    groups = {g['group_name']: g for g in build_optimizer(Net(ConvNeXt()), cfg).param_groups}
    rates = {name: group['lr'] for name, group in groups.items()}
    assert rates['layer_5_decay'] == 1.0 and rates['layer_1_decay'] == 0.5**4 and rates['layer_0_decay'] == 0.5**5
    assert groups['layer_5_no_decay']['weight_decay'] == 0 and groups['layer_5_decay']['weight_decay'] == 0.1
    assert cfg['constructor'] == 'LearningRateDecayOptimizerConstructor'


def test_layer_decay_of_another_backbone_is_refused():
    cfg = dict(type='SGD', lr=1.0, weight_decay=0.0, constructor='LearningRateDecayOptimizerConstructor')
    cfg['paramwise_cfg'] = dict(num_layers=4, decay_rate=0.5)
    with pytest.raises(NotImplementedError, match='ConvNeXt only, not of Linear'):
        build_optimizer(Net(nn.Linear(1, 1)), cfg)


def test_default_constructor_and_unknown_ones():
    model = nn.Linear(1, 1)
    optimizer = build_optimizer(model, dict(type='SGD', lr=0.5))
    assert isinstance(optimizer, torch.optim.SGD) and len(optimizer.param_groups) == 1
    with pytest.raises(KeyError, match="did you mean 'DefaultOptimizerConstructor'"):
        build_optimizer(model, dict(type='SGD', lr=1.0, constructor='DefaultOptimiserConstructor'))
