"""A fully connected layer whose backward pass holds less at once."""

from typing import Any

from torch import Tensor, is_grad_enabled, nn
from torch.autograd import Function
from torch.nn import functional

from mmdet.models.options.fold_norm import is_plain


def lean_linear(layer: nn.Module, x: Tensor) -> Tensor:
    """``layer(x)``; the backward pass lets go of ``x`` before it makes the gradient of ``x``.

    The features of all RoIs, their gradient and that of the first layer's weight are as large as a whole backbone's
    maps. An ``nn.Linear`` makes both gradients in one step, in which all three are held. Here they are two steps of
    autograd, that of the weight first. Numbers are the same.

    Args:
        layer: any module; anything but a plain ``nn.Linear``, without hooks, is called as it is.
        x: (n, F).
    """
    trains = is_grad_enabled() and x.requires_grad
    if not (trains and is_plain(layer, nn.Linear) and layer.weight.requires_grad):
        return layer(x)
    # autograd takes what was made last first; so the part that goes to the input must be made before the other
    dtype = functional.linear(x[:0], layer.weight[:1]).dtype  # under autocast it is not that of x
    to_input = _ToInput.apply(x, layer.weight, dtype)
    return _ToWeight.apply(x, layer.weight, layer.bias) + to_input


class _ToWeight(Function):
    """``linear`` with gradients for weight and bias only."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x)
        ctx.dtype = weight.dtype
        return functional.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor, Tensor | None]:
        (x,) = ctx.saved_tensors
        return None, (grad.t() @ x.to(grad.dtype)).to(ctx.dtype), grad.sum(0) if ctx.needs_input_grad[2] else None


class _ToInput(Function):
    """Zeros that get the gradient of ``linear`` for its input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, dtype: Any) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.dtype = x.dtype
        return x.new_zeros((), dtype=dtype).expand(len(x), len(weight))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        return (grad @ weight.to(grad.dtype)).to(ctx.dtype), None, None
