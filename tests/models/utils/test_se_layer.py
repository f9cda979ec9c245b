import pytest
import torch
from torch import nn

from mmdet.models.builder import MODELS  # noqa: F401
from mmdet.models.utils.se_layer import DyReLU, SELayer


def test_se_layer_scales_channels_by_their_gates():
    layer = SELayer(2, ratio=2)
    nn.init.zeros_(layer.conv2.conv.weight)
    layer.conv2.conv.bias.data = torch.tensor([0.0, 100.0])
    x = torch.rand(1, 2, 3, 3)
    assert torch.allclose(layer(x), x * torch.tensor([0.5, 1.0]).reshape(1, 2, 1, 1))


def test_se_layer_refuses_three_activations():
    with pytest.raises(ValueError, match='act_cfg: expected one config, or a tuple of two'):
        SELayer(4, act_cfg=(dict(type='ReLU'),) * 3)


def test_dyrelu_with_half_coefficients_is_relu():
    layer = DyReLU(4, ratio=2)
    nn.init.zeros_(layer.conv2.conv.weight)
    nn.init.zeros_(layer.conv2.conv.bias)
    x = torch.randn(2, 4, 3, 3)
    assert torch.allclose(layer(x), x.relu())


def test_dyrelu_coefficients_are_slope_offset_slope_offset():
    layer = DyReLU(1, ratio=1)
    nn.init.zeros_(layer.conv2.conv.weight)
    layer.conv2.conv.bias.data = torch.tensor([9.0, 9.0, 9.0, -9.0])  # hard sigmoids 1, 1, 1, 0
    x = torch.tensor([-4.0, 0.0, 4.0]).reshape(1, 1, 1, 3)
    assert layer(x).flatten().tolist() == [-4.5, 0.5, 8.5]  # max(2 x + 0.5, x - 0.5)
