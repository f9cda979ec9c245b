"""A fully connected layer in two steps gives the numbers of one, and lets go of its input in between."""

import weakref

import pytest
import torch
from torch import nn

from mmdet.models.utils.lean_linear import lean_linear


def gradients(out, *inputs, **kwargs):
    return torch.autograd.grad(out.sin().sum(), inputs, **kwargs)


@pytest.mark.parametrize('bias', [True, False])
def test_numbers_are_those_of_linear(bias):
    torch.manual_seed(0)
    layer, x = nn.Linear(6, 4, bias=bias), torch.randn(5, 6, requires_grad=True)
    out, inputs = lean_linear(layer, x), (x, *layer.parameters())
    assert torch.equal(out, layer(x))
    for a, b in zip(gradients(out, *inputs), gradients(layer(x), *inputs), strict=True):
        torch.testing.assert_close(a, b)


def test_second_derivatives():
    layer, x = nn.Linear(3, 2).double(), torch.randn(4, 3).double().requires_grad_()
    seconds = []
    for call in (lean_linear, lambda layer, x: layer(x)):
        firsts = gradients(call(layer, x), x, layer.weight, create_graph=True)
        seconds.append(torch.autograd.grad(sum(g.square().sum() for g in firsts), (x, layer.weight)))
    for a, b in zip(*seconds):
        torch.testing.assert_close(a, b)


class Held:
    def __init__(self, tensor):
        self.tensor = tensor


def test_input_is_gone_when_its_gradient_is_made():
    layer, source, kept, order = nn.Linear(6, 4), torch.randn(5, 6, requires_grad=True), [], []

    def pack(tensor):
        held = Held(tensor)
        if tensor.shape == (5, 6):
            kept.append(weakref.ref(held))
        return held

    features = source * 1
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda held: held.tensor):
        out = lean_linear(layer, features)
    layer.weight.register_post_accumulate_grad_hook(lambda weight: order.append('weight'))
    features.register_hook(lambda grad: order.append(kept[0]() is None))
    assert len(kept) == 1 and kept[0]() is not None
    out.sum().backward()
    assert order == ['weight', True]


def test_under_autocast():
    layer, x = nn.Linear(6, 4), torch.randn(5, 6, requires_grad=True)
    with torch.autocast('cpu', torch.bfloat16):
        out, expected = lean_linear(layer, x), layer(x)
    assert out.dtype == torch.bfloat16 and torch.equal(out, expected)
    inputs = (x, layer.weight, layer.bias)
    for a, b in zip(gradients(out.float(), *inputs), gradients(expected.float(), *inputs)):
        assert a.dtype == torch.float32
        torch.testing.assert_close(a, b, rtol=0.02, atol=0.02)


def test_empty_input_keeps_every_parameter_attached():
    layer, x = nn.Linear(6, 4), torch.zeros(0, 6, requires_grad=True)
    lean_linear(layer, x).sum().backward()
    assert not layer.weight.grad.any() and not layer.bias.grad.any() and x.grad.shape == (0, 6)


def test_hooks_other_layers_and_tests_take_the_layer_itself():
    layer, x = nn.Linear(6, 4), torch.randn(5, 6, requires_grad=True)
    seen = []
    handle = layer.register_forward_hook(lambda *args: seen.append(args[2]))
    assert lean_linear(layer, x) is seen[0]
    handle.remove()
    assert 'Addmm' in type(lean_linear(layer, x.detach()).grad_fn).__name__
    with torch.no_grad():
        assert not lean_linear(layer, x).requires_grad
    assert lean_linear(nn.Identity(), x) is x
