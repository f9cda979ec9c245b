"""Layers whose output is a scaled cosine, for classes of unequal frequency (https://arxiv.org/abs/2008.10032)."""

from typing import Any

import torch
from mmcv.cnn import CONV_LAYERS
from torch import Tensor, nn
from torch.nn import functional as F

from mmdet.models.utils.builder import LINEAR_LAYERS


def scale_to_unit(x: Tensor, norm: Tensor, power: float, eps: float) -> Tensor:
    """``x / (norm ** power + eps)``."""
    return x / (norm.pow(power) + eps)


@LINEAR_LAYERS.register_module(name='NormedLinear')
class NormedLinear(nn.Linear):
    """A linear layer of normalised weights on normalised inputs.

    Args:
        args, kwargs: as of ``nn.Linear``.
        tempearture: factor of the inputs (sic: the public name). Default: 20.
        power: exponent of the norms. Default: 1.
        eps: keeps zero vectors finite. Default: 1e-6.
    """

    def __init__(
        self, *args: Any, tempearture: float = 20, power: float = 1.0, eps: float = 1e-6, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.tempearture = tempearture
        self.power = power
        self.eps = eps
        self.init_weights()

    def init_weights(self) -> None:
        """Small normal weights, no bias."""
        nn.init.normal_(self.weight, mean=0, std=0.01)
        if self.bias is not None:
            nn.init.constant_(self.bias, 0)

    def forward(self, x: Tensor) -> Tensor:
        """``(M, in_features)`` to ``(M, out_features)``."""
        weight = scale_to_unit(self.weight, self.weight.norm(dim=1, keepdim=True), self.power, self.eps)
        x = scale_to_unit(x, x.norm(dim=1, keepdim=True), self.power, self.eps)
        # a cosine is 1 at most: without a factor no softmax of several classes could become sure
        return F.linear(x * self.tempearture, weight, self.bias)


@CONV_LAYERS.register_module(name='NormedConv2d')
class NormedConv2d(nn.Conv2d):
    """A convolution of normalised weights on inputs normalised over their channels.

    Args:
        args, kwargs: as of ``nn.Conv2d``.
        tempearture: factor of the inputs (sic: the public name). Default: 20.
        power: exponent of the norms. Default: 1.
        eps: keeps zero vectors finite. Default: 1e-6.
        norm_over_kernel: the norm of a weight is over channels and kernel, not over channels alone. Default: False.
    """

    def __init__(
        self,
        *args: Any,
        tempearture: float = 20,
        power: float = 1.0,
        eps: float = 1e-6,
        norm_over_kernel: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.tempearture = tempearture
        self.power = power
        self.norm_over_kernel = norm_over_kernel
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to the shape that ``nn.Conv2d`` gives."""
        dims = (1, 2, 3) if self.norm_over_kernel else 1
        weight = scale_to_unit(
            self.weight, torch.linalg.vector_norm(self.weight, dim=dims, keepdim=True), self.power, self.eps
        )
        x = scale_to_unit(x, x.norm(dim=1, keepdim=True), self.power, self.eps)
        return self._conv_forward(x * self.tempearture, weight, self.bias)
