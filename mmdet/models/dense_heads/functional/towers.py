"""Layers and initial values that many dense heads share."""

from collections.abc import Sequence

from mmcv.cnn import ConvModule
from torch import nn

# Default arguments; every builder copies them.
FOCAL_LOSS = dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0)
CENTERNESS_LOSS = dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0)
GROUP_NORM = dict(type='GN', num_groups=32, requires_grad=True)


def rare_classes(name: str) -> dict:
    """Small normal weights; the convolution ``name``, which predicts classes, starts at a probability of 0.01.

    Otherwise the many negatives would swamp the first steps.
    """
    override = dict(type='Normal', name=name, std=0.01, bias_prob=0.01)
    return dict(type='Normal', layer='Conv2d', std=0.01, override=override)


def rare_layers(*names: str) -> list[dict]:
    """Small normal weights; the layers ``names`` start at a probability of 0.01; as :func:`rare_classes`."""
    of_names = [dict(type='Normal', std=0.01, bias_prob=0.01, override=dict(name=name)) for name in names]
    return [dict(type='Normal', layer='Conv2d', std=0.01), *of_names]


def conv_tower(
    in_channels: int,
    feat_channels: int,
    count: int,
    conv_cfg: dict | None = None,
    norm_cfg: dict | None = None,
    bias: bool | str = 'auto',
    last_conv_cfg: dict | None = None,
) -> nn.ModuleList:
    """3x3 convolutions one after another, with normalisation and ReLU.

    Args:
        in_channels: channels of the first one's input.
        feat_channels: channels of all the results.
        count: number of convolutions.
        conv_cfg: kind of convolution; None: ``Conv2d``.
        norm_cfg: normalisation after each; None: none.
        bias: of the convolutions; ``'auto'``: only without normalisation.
        last_conv_cfg: kind of the last one; None: as the others.
    """
    kinds = [conv_cfg] * (count - 1) + [last_conv_cfg or conv_cfg] * min(count, 1)
    return tower_of_kinds(in_channels, feat_channels, kinds, norm_cfg, bias)


def tower_of_kinds(
    in_channels: int,
    feat_channels: int,
    kinds: Sequence[dict | None],
    norm_cfg: dict | None = None,
    bias: bool | str = 'auto',
) -> nn.ModuleList:
    """As :func:`conv_tower`, with a convolution for each of ``kinds``; None is ``Conv2d``."""
    channels = [in_channels] + [feat_channels] * len(kinds)
    return nn.ModuleList(
        ConvModule(c_in, c_out, 3, padding=1, conv_cfg=kind, norm_cfg=norm_cfg, bias=bias)
        for c_in, c_out, kind in zip(channels, channels[1:], kinds)
    )
