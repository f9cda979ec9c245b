"""A fully connected layer whose backward pass holds less at once."""

from typing import Any

from torch import Tensor, autocast, is_grad_enabled, nn
from torch.autograd import Function
from torch.nn import functional

from mmdet.models.options.fold_norm import is_plain


def lean_linear(layer: Any, x: Tensor) -> Tensor:
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
    like = functional.linear(x[:0], layer.weight[:1]).detach()  # under autocast its dtype is not that of x
    to_input = _ToInput.apply(x, layer.weight, like)
    return _ToWeight.apply(x, layer.weight, layer.bias, like) + to_input


class _ToWeight(Function):
    """``linear`` in the dtype of ``like``, with gradients for weight and bias only."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, like: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        ctx.dtype = weight.dtype
        # autocast would keep the weight that it casts here, without a gradient, for the next layer that uses it
        with autocast(x.device.type, enabled=False):
            return functional.linear(x.to(like), weight.to(like), None if bias is None else bias.to(like))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor, Tensor | None, None]:
        (x,) = ctx.saved_tensors
        to_bias = grad.sum(0) if ctx.needs_input_grad[2] else None
        return None, (grad.t() @ x.to(grad.dtype)).to(ctx.dtype), to_bias, None


class _ToInput(Function):
    """Zeros in the dtype of ``like`` that get the gradient of ``linear`` for its input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.dtype = x.dtype
        return like.new_zeros(()).expand(len(x), len(weight))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        return (grad @ weight.to(grad.dtype)).to(ctx.dtype), None, None
