"""Attention over channels, driven by their averages."""

from mmcv.cnn import ConvModule
from mmcv.runner import BaseModule
from torch import Tensor, nn


def squeeze_convs(
    channels: int, ratio: float, outputs: int, conv_cfg: dict | None, act_cfg: dict | tuple[dict, dict]
) -> tuple[ConvModule, ConvModule]:
    """Two 1x1 convolutions: ``channels`` to ``channels / ratio`` to ``outputs``.

    Raises:
        ValueError: ``act_cfg`` is neither one config nor two.
    """
    activations = (act_cfg, act_cfg) if isinstance(act_cfg, dict) else act_cfg
    if not isinstance(activations, tuple) or len(activations) != 2 or not all(isinstance(a, dict) for a in activations):
        raise ValueError(f'act_cfg: expected one config, or a tuple of two, got {act_cfg!r}')
    hidden = int(channels / ratio)
    return (
        ConvModule(channels, hidden, 1, conv_cfg=conv_cfg, act_cfg=activations[0]),
        ConvModule(hidden, outputs, 1, conv_cfg=conv_cfg, act_cfg=activations[1]),
    )


class SELayer(BaseModule):
    """Squeeze and excitation (https://arxiv.org/abs/1709.01507): scale each channel by a learnt gate.

    Args:
        channels: of input and output.
        ratio: the gates are computed from ``channels / ratio`` numbers. Default: 16.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        act_cfg: activation of both convolutions, or one of each. Default: ReLU and sigmoid.
        init_cfg: initial values. Default: None.
    """

    def __init__(
        self,
        channels: int,
        ratio: float = 16,
        conv_cfg: dict | None = None,
        act_cfg: dict | tuple[dict, dict] = (dict(type='ReLU'), dict(type='Sigmoid')),
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.global_avgpool = nn.AdaptiveAvgPool2d(1)
        self.conv1, self.conv2 = squeeze_convs(channels, ratio, channels, conv_cfg, act_cfg)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        return x * self.conv2(self.conv1(self.global_avgpool(x)))


class DyReLU(BaseModule):
    """Dynamic ReLU (https://arxiv.org/abs/2003.10027): the larger of two lines that depend on the image.

    For each channel ``y = max(a1 * x + b1, a2 * x + b2)``. The second convolution gives ``p`` in [0, 1] for each of
    the four: ``a1 = 2 * p``, ``b1 = p - 0.5``, ``a2 = 2 * p - 1``, ``b2 = p - 0.5``; all 0.5 is the ordinary ReLU.

    Args:
        channels: of input and output.
        ratio: as in ``SELayer``. Default: 4.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        act_cfg: activation of both convolutions, or one of each. Default: ReLU and hard sigmoid.
        init_cfg: initial values. Default: None.
    """

    def __init__(
        self,
        channels: int,
        ratio: float = 4,
        conv_cfg: dict | None = None,
        act_cfg: dict | tuple[dict, dict] = (dict(type='ReLU'), dict(type='HSigmoid', bias=3.0, divisor=6.0)),
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.channels = channels
        self.expansion = 4  # numbers that describe the two lines of a channel
        self.global_avgpool = nn.AdaptiveAvgPool2d(1)
        self.conv1, self.conv2 = squeeze_convs(channels, ratio, channels * self.expansion, conv_cfg, act_cfg)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        shifted = self.conv2(self.conv1(self.global_avgpool(x))) - 0.5
        a1, b1, a2, b2 = shifted.split(self.channels, dim=1)
        return ((2 * a1 + 1) * x + b1).maximum(2 * a2 * x + b2)
