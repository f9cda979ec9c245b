"""What FreezeHook freezes, when a run begins and before."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmdet.core.hook.schedules.freeze_hook import FreezeHook, freeze_as_hooks_will


def model():
    return nn.ModuleDict(dict(trunk=nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), head=nn.Linear(2, 1)))


def trainable(net):
    return {name for name, p in net.named_parameters() if p.requires_grad}


def test_freeze_hook_keeps_weights_and_statistics():
    net = model()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    hook, runner = FreezeHook(['trunk']), SimpleNamespace(model=net)
    hook.before_run(runner)
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0, weight_decay=0.5)
    net.train()
    hook.before_train_iter(runner)
    net['head'](net['trunk'](torch.randn(4, 2))).sum().backward()
    optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items() if 'trunk' in name)
    assert not torch.equal(net['head'].weight, before['head.weight'])


@pytest.mark.parametrize('hook', [dict(type='FreezeHook', parts=['trunk']), FreezeHook(['trunk'])])
def test_config_s_freeze_hooks_freeze_before_a_run_and_others_do_not(hook):
    net = model()
    freeze_as_hooks_will(net, [dict(type='NumClassCheckHook'), hook])
    assert trainable(net) == {'head.weight', 'head.bias'}
    with pytest.raises(KeyError, match='trnuk'):
        freeze_as_hooks_will(net, [dict(type='FreezeHook', parts=['trnuk'])])
