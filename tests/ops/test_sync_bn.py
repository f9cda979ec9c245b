import pytest
import torch
from mmcv.cnn import build_norm_layer
from torch import nn

from mmdet.ops import MMSyncBN


def test_one_process_normalises_as_a_plain_layer():
    name, layer = build_norm_layer(dict(type='MMSyncBN', stats_mode='N', requires_grad=True), 3)
    plain = nn.BatchNorm2d(3)
    assert name == 'bn' and set(layer.state_dict()) == set(plain.state_dict())
    x = torch.randn(4, 3, 2, 2)
    assert torch.allclose(layer(x), plain(x), atol=1e-6)
    assert torch.allclose(layer.running_var, plain.running_var)


def test_other_modes_are_refused():
    with pytest.raises(ValueError, match='stats_mode: expected one of'):
        MMSyncBN(3, stats_mode='n')
