"""Resizing one tensor like another, and a mean of two sigmoids."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


class SigmoidGeometricMean(torch.autograd.Function):
    """``sqrt(sigmoid(x) * sigmoid(y))``, with a gradient that stays finite where a sigmoid is 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        """Two tensors of logits of one shape to their mean, of that shape."""
        x_sigmoid, y_sigmoid = x.sigmoid(), y.sigmoid()
        mean = (x_sigmoid * y_sigmoid).sqrt()
        ctx.save_for_backward(x_sigmoid, y_sigmoid, mean)
        return mean

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, Tensor]:
        """``d mean / d x = mean * (1 - sigmoid(x)) / 2``, and so for y."""
        x_sigmoid, y_sigmoid, mean = ctx.saved_tensors
        half = grad_output * mean / 2
        return half * (1 - x_sigmoid), half * (1 - y_sigmoid)


sigmoid_geometric_mean = SigmoidGeometricMean.apply


def interpolate_as(source: Tensor, target: Any, mode: str = 'bilinear', align_corners: bool = False) -> Tensor:
    """Resize a tensor to the height and width of another one.

    Args:
        source: ``(N, C, H, W)`` or ``(C, H, W)``.
        target: a tensor or array ``(..., H', W')``.
        mode: as of ``torch.nn.functional.interpolate``. Default: 'bilinear'.
        align_corners: the same. Default: False.

    Returns:
        ``(N, C, H', W')`` or ``(C, H', W')``; ``source`` itself where the sizes are equal.

    Raises:
        ValueError: ``target`` has less than two dimensions.
    """
    if len(target.shape) < 2:
        raise ValueError(f'target: expected (..., H, W), got the shape {tuple(target.shape)}')
    size = tuple(target.shape[-2:])
    if tuple(source.shape[-2:]) == size:
        return source
    batch = source[None] if source.dim() == 3 else source
    resized = F.interpolate(batch, size=size, mode=mode, align_corners=align_corners)
    return resized[0] if source.dim() == 3 else resized
