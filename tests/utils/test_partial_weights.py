"""Loading and naming parts of a model."""

import pytest
import torch
from torch import nn

from mmdet.utils.checkpoints.partial_weights import in_part, load_parts, modules_of, parts_of


def model(value):
    net = nn.ModuleDict(dict(backbone=nn.Linear(2, 2), head=nn.ModuleDict(dict(box=nn.Linear(2, 1)))))
    for param in net.parameters():
        nn.init.constant_(param, value)
    return net


@pytest.mark.parametrize(
    ('name', 'part', 'inside'),
    [
        ('backbone.weight', 'backbone', True),
        ('backbone2.weight', 'backbone', False),
        ('head.box.bias', 'head.box', True),
        ('head.box.bias', 'box', False),
        ('anything', '', True),
    ],
)
def test_parts_are_whole_names(name, part, inside):
    assert in_part(name, [part]) is inside


def test_load_parts_changes_these_parts_only_and_reports_them():
    target = model(0.0)
    report = load_parts(target, model(1.0).state_dict(), ['head.box'])
    assert report.loaded == ['head.box.weight', 'head.box.bias'] and report.exact
    assert target['head']['box'].weight.eq(1).all() and target['backbone'].weight.eq(0).all()


def test_load_parts_reports_other_shapes():
    source = model(1.0).state_dict()
    source['head.box.bias'] = torch.ones(3)
    report = load_parts(model(0.0), source, ['head'])
    assert report.loaded == ['head.box.weight'] and report.mismatched == ['head.box.bias: file (3,), model (1,)']


def test_unknown_parts_are_named_with_the_nearest():
    with pytest.raises(KeyError, match="no weights of 'backbon'.*did you mean 'backbone'"):
        parts_of(model(1.0).state_dict(), ['backbon'])
    with pytest.raises(KeyError, match="no part 'head.bx'.*'head.box'"):
        modules_of(model(1.0), ['head.bx'])
    with pytest.raises(RuntimeError, match='nothing of backbone fits'):
        load_parts(model(1.0), {'backbone.weight': torch.ones(5, 5)}, ['backbone'])
