"""Batch norms whose statistics stand still, computed as part of the convolutions before them.

Such a norm multiplies each channel by one number and adds another. So does a convolution with other weights, which
spares a pass over the map and, in training, the map between the two that is otherwise kept for the backward pass. The
parameters stay where they are and get the gradients that they get without folding.
"""

from typing import Any

from mmcv.cnn import ConvModule
from mmcv.cnn.bricks.wrappers import Conv2d
from torch import Tensor, nn, ops
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional

CONVOLUTIONS = (nn.Conv2d, Conv2d)
NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm)
HOOKS = ('_forward_pre_hooks', '_forward_hooks', '_backward_pre_hooks', '_backward_hooks')


def fold_norms(module: nn.Module) -> nn.Module:
    """Let every batch norm right after a convolution be computed with it, whenever its statistics stand still.

    Those are found in ``ConvModule``, in ``nn.Sequential`` and where a module calls :func:`norm_after_conv`. Which
    norms stand still is looked up in each call: a norm in training mode is computed by itself.

    Args:
        module: changed in place. Its parameters, buffers and their names stay.

    Returns:
        ``module`` itself.
    """
    for part in module.modules():
        if type(part) in NORMS:
            part.folded = True
        elif type(part) is ConvModule:
            part.__class__ = FoldingConvModule
        elif type(part) is nn.Sequential:
            part.__class__ = FoldingSequential
    return module


def norm_after_conv(conv: nn.Module, norm: nn.Module, x: Tensor) -> Tensor:
    """``norm(conv(x))``, in one step where :func:`fold_norms` asks for it and it makes no difference.

    That is a plain convolution, zero-padded, and a batch norm in evaluation mode, neither with a hook.

    Args:
        conv: any module.
        norm: any module.
        x: what ``conv`` takes.
    """
    if not can_fold(conv, norm):
        return norm(conv(x))
    scale = (norm.running_var + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight
    bias = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
    bias = bias * scale
    if norm.bias is not None:
        bias = bias + norm.bias
    scale, bias = scale.to(conv.weight.dtype), bias.to(conv.weight.dtype)
    return _ScaledConv.apply(x, conv.weight, scale, bias, (conv.stride, conv.padding, conv.dilation, conv.groups))


def can_fold(conv: nn.Module, norm: nn.Module) -> bool:
    """Whether :func:`norm_after_conv` makes one step of these two."""
    return (
        getattr(norm, 'folded', False)
        and is_plain(norm, *NORMS)
        and not norm.training
        and norm.running_mean is not None
        and is_plain(conv, *CONVOLUTIONS)
        and conv.padding_mode == 'zeros'
        and not isinstance(conv.padding, str)
    )


def is_plain(module: nn.Module, *kinds: type[nn.Module]) -> bool:
    """Whether ``module`` is of one of these classes, no subclass, and nothing hangs on its ``forward``."""
    replaced = 'forward' in vars(module)  # by a profiler or the like
    return type(module) in kinds and not replaced and not any(getattr(module, hooks, None) for hooks in HOOKS)


class _ScaledConv(Function):
    """Convolution with ``weight * scale``: the product is made again for the backward pass instead of kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, scale: Tensor, bias: Tensor, settings: tuple) -> Tensor:
        ctx.save_for_backward(x, weight, scale)
        ctx.settings = settings
        return functional.conv2d(x, weight * scale[:, None, None, None], bias, *settings)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple:
        x, weight, scale = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.settings
        needs_x, needs_weight, needs_scale, needs_bias, _ = ctx.needs_input_grad
        factor = scale[:, None, None, None]
        mask = [needs_x, needs_weight or needs_scale, needs_bias]
        # the dtype is that of the forward pass, also under autocast
        grad_x, grad_weight, grad_bias = ops.aten.convolution_backward(
            grad, x.to(grad.dtype), (weight * factor).to(grad.dtype), [len(scale)],
            stride, padding, dilation, False, [0, 0], groups, mask,
        )  # fmt: skip
        grad_scale = None
        if grad_weight is not None:
            grad_weight = grad_weight.to(weight.dtype)
            grad_scale = (grad_weight * weight).sum((1, 2, 3)) if needs_scale else None
            grad_weight = grad_weight.mul_(factor) if needs_weight else None
        return grad_x, grad_weight, grad_scale, grad_bias, None


class FoldingConvModule(ConvModule):
    """A ``ConvModule`` that folds its norm."""

    def forward(self, x: Tensor, activate: bool = True, norm: bool = True) -> Tensor:
        """As that of ``ConvModule``."""
        if not (norm and self.with_norm and self.order[:2] == ('conv', 'norm')):
            return super().forward(x, activate, norm)
        if self.with_explicit_padding:
            x = self.padding_layer(x)
        x = norm_after_conv(self.conv, self.norm, x)
        return self.activate(x) if activate and self.with_activation else x


class FoldingSequential(nn.Sequential):
    """An ``nn.Sequential`` that folds batch norms into the convolutions right before them."""

    def forward(self, x: Tensor) -> Tensor:
        """As that of ``nn.Sequential``."""
        layers = list(self)
        while layers:
            layer = layers.pop(0)
            if layers and can_fold(layer, layers[0]):
                x = norm_after_conv(layer, layers.pop(0), x)
            else:
                x = layer(x)
        return x
