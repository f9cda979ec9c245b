import pytest
import torch

from mmdet.models.backbones.ssd_vgg import L2Norm
from mmdet.models.builder import BACKBONES


@pytest.fixture(scope='module')
def network():
    return BACKBONES.build(dict(type='SSDVGG', depth=11, out_feature_indices=(10, 24)))


def test_last_layers_are_convolutions_of_the_fourth_stages_stride(network):
    first, second = network(torch.randn(1, 3, 33, 40))
    assert first.shape == (1, 256, 5, 5)  # sizes are rounded up
    assert second.shape[:2] == (1, 1024)
    kinds = [type(layer).__name__ for layer in network.features[-5:]]
    assert kinds == ['MaxPool2d', 'Conv2d', 'ReLU', 'Conv2d', 'ReLU']
    assert network.features[-4].dilation == (6, 6)


def test_single_result_comes_without_a_tuple(network, monkeypatch):
    monkeypatch.setattr(network, 'out_feature_indices', (2,))
    assert isinstance(network(torch.randn(1, 3, 8, 8)), torch.Tensor)


def test_old_arguments_and_places_warn():
    with pytest.warns(DeprecationWarning, match='input_size is deprecated'):
        BACKBONES.build(dict(type='SSDVGG', depth=11, input_size=300))
    with pytest.warns(DeprecationWarning, match='ssd_neck'):
        assert L2Norm(n_dims=3).weight.shape == (3,)
