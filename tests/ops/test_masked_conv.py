import pytest
import torch
from torch import nn
from torch.nn import functional

from mmdet.ops import masked_conv
from mmdet.ops.masked_conv import MaskedConv2d, masked_conv2d

SETTINGS = [
    dict(kernel_size=1),
    dict(kernel_size=3, padding=1),
    dict(kernel_size=(3, 2), stride=(2, 1), padding=(1, 0)),
    dict(kernel_size=3, padding=2, dilation=2, bias=False),
]


@pytest.fixture
def make():
    def build(**kwargs):
        torch.manual_seed(0)
        layer = MaskedConv2d(3, 4, **kwargs).double()
        x = torch.randn(2, 3, 6, 5, dtype=torch.float64)
        return layer, x, torch.rand(2, *layer(x).shape[-2:]) > 0.6

    return build


@pytest.mark.parametrize('kwargs', SETTINGS)
@pytest.mark.parametrize('training', [True, False])
def test_masked_conv_equals_the_dense_one_times_the_mask(make, kwargs, training):
    layer, x, mask = make(**kwargs)
    plain = functional.conv2d(x, layer.weight, layer.bias, layer.stride, layer.padding, layer.dilation)
    torch.testing.assert_close(layer.train(training)(x, mask), plain * mask[:, None])
    assert layer(x).equal(plain)


def test_masked_conv_by_hand():
    x, mask = torch.tensor([[[[1.0, 2], [3, 4]]]]), torch.tensor([[[0, 0], [1, 0]]])
    out = masked_conv2d(x, mask, torch.tensor([[[[10.0]]]]), torch.tensor([7.0]))
    assert out.tolist() == [[[[0, 0], [37, 0]]]]


@pytest.mark.parametrize('kwargs', SETTINGS)
@pytest.mark.parametrize('training', [True, False])
def test_masked_conv_gradient(make, kwargs, training):
    layer, x, mask = make(**kwargs)
    layer.train(training)
    params = list(layer.parameters())

    def call(x, *values):
        return torch.func.functional_call(layer, dict(zip(dict(layer.named_parameters()), values)), (x, mask))

    assert torch.autograd.gradcheck(call, (x.requires_grad_(), *params))


def test_masked_conv_in_parts_equals_the_whole(make, monkeypatch):
    layer, x, mask = make(kernel_size=3, padding=1)
    whole = layer.eval()(x, mask)
    monkeypatch.setattr(masked_conv, 'PLACES_AT_ONCE', 3)
    torch.testing.assert_close(layer(x, mask), whole)


def test_masked_conv_without_any_place_is_zero_and_attached(make):
    layer, x, mask = make(kernel_size=3, padding=1)
    out = layer.eval()(x.requires_grad_(), torch.zeros_like(mask))
    assert not out.any()
    out.sum().backward()
    assert not x.grad.any()


def test_masked_conv_with_groups_falls_back_to_the_dense_one():
    layer, x = MaskedConv2d(4, 4, 3, padding=1, groups=2).eval(), torch.randn(1, 4, 3, 3)
    mask = torch.eye(3)[None]
    torch.testing.assert_close(layer(x, mask), nn.Conv2d.forward(layer, x) * mask[:, None])


def test_masked_conv_refuses_other_shapes(make):
    layer, x, mask = make(kernel_size=3, padding=1)
    layer.eval()
    with pytest.raises(ValueError, match=r'expected a mask \(2, 6, 5\), got \(1, 6, 5\)'):
        layer(x, mask[:1])
    with pytest.raises(ValueError, match=r'expected features \(N, 3, H, W\)'):
        layer(x[:, :2], mask)
