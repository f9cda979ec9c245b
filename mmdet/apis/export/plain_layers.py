"""Layers of a detector in a form that can be traced for any number of inputs, none included."""

from typing import Any

import mmcv.cnn.bricks.wrappers
import torch
from torch import Tensor, nn


class PlainGroupNorm(nn.GroupNorm):
    """Group normalisation without torch's look at the number of its inputs, which of RoIs no graph knows."""

    def forward(self, input: Tensor) -> Tensor:
        """(n, C, ...) to the same shape."""
        return torch.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


class PlainBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation of a test as a scale and a shift: its operator in torch asks whether the input is empty."""

    def forward(self, input: Tensor) -> Tensor:
        """(n, C, ...) to the same shape."""
        norm: Any = self
        scale = torch.rsqrt(norm.running_var + norm.eps)
        scale = scale if norm.weight is None else scale * norm.weight
        shift = -norm.running_mean * scale
        shift = shift if norm.bias is None else shift + norm.bias
        over_channels = (1, -1, *(1,) * (input.ndim - 2))
        return input * scale.view(over_channels) + shift.view(over_channels)


def use_plain_layers(detector: nn.Module) -> None:
    """Change the layers of a detector that look at the number of their inputs.

    Torch's own take the place of mmcv's, which only look first whether their input is empty, for torch of old; norms of
    RoIs, of which there is any number, take the forms above.
    """
    for layer in detector.modules():
        base = type(layer).__mro__[1]
        if type(layer).__module__ == mmcv.cnn.bricks.wrappers.__name__ and base.__module__.startswith('torch.nn'):
            layer.__class__ = base
    roi_head = getattr(detector, 'roi_head', None)
    for layer in () if roi_head is None else roi_head.modules():
        if isinstance(layer, nn.GroupNorm):
            layer.__class__ = PlainGroupNorm
        elif isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.track_running_stats:
            layer.__class__ = PlainBatchNorm


__all__ = ['PlainBatchNorm', 'PlainGroupNorm', 'use_plain_layers']
