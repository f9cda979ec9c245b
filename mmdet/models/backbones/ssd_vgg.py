"""The VGG network of SSD, whose last layers are convolutions (https://arxiv.org/abs/1512.02325)."""

import warnings
from collections.abc import Sequence
from typing import Any

from mmcv.cnn import VGG
from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.models.builder import BACKBONES
from mmdet.models.necks.ssd_neck import L2Norm as NeckL2Norm
from mmdet.models.utils.weights import resolve_init_cfg

# Default of ``init_cfg``; the builder copies it.
FRESH = [
    dict(type='Kaiming', layer='Conv2d'),
    dict(type='Constant', val=1, layer='BatchNorm2d'),
    dict(type='Normal', std=0.01, layer='Linear'),
]


@BACKBONES.register_module()
class SSDVGG(VGG, BaseModule):
    """VGG with a last pooling of stride 1 and two more convolutions, the first of them dilated.

    Args:
        depth: 11, 13, 16 or 19 layers.
        with_last_pool: keep VGG's own last pooling.
        ceil_mode: round sizes up after pooling.
        out_indices: kept for configs that give it; ``out_feature_indices`` decides.
        out_feature_indices: layers of ``features`` whose results are given.
        pretrained: deprecated; weights of the network.
        init_cfg: initialisation of the weights.
        input_size: deprecated; not used.
        l2_norm_scale: deprecated; the neck has it.
    """

    def __init__(
        self,
        depth: int,
        with_last_pool: bool = False,
        ceil_mode: bool = True,
        out_indices: Sequence[int] = (3, 4),
        out_feature_indices: Sequence[int] = (22, 34),
        pretrained: str | None = None,
        init_cfg: dict | list | None = None,
        input_size: int | None = None,
        l2_norm_scale: float | None = None,
    ) -> None:
        super().__init__(depth, with_last_pool=with_last_pool, ceil_mode=ceil_mode, out_indices=out_indices)
        for name, value in (('input_size', input_size), ('l2_norm_scale', l2_norm_scale)):
            if value is not None:
                warnings.warn(f'SSDVGG: {name} is deprecated and not used', DeprecationWarning, stacklevel=2)
        self.features.extend(
            [
                nn.MaxPool2d(kernel_size=3, stride=1, padding=1),
                nn.Conv2d(512, 1024, 3, padding=6, dilation=6),
                nn.ReLU(inplace=True),
                nn.Conv2d(1024, 1024, 1),
                nn.ReLU(inplace=True),
            ]
        )
        self.out_feature_indices = out_feature_indices
        self.init_cfg = resolve_init_cfg(init_cfg, pretrained, FRESH)

    def init_weights(self, pretrained: None = None) -> None:
        """Initialise by ``init_cfg``; ``pretrained`` is not used."""
        BaseModule.init_weights(self)

    def train(self, mode: bool = True) -> 'SSDVGG':
        """Training mode, except for what is frozen; mmcv's class gives nothing back, so that ``eval`` would not."""
        super().train(mode)
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, ...] | Tensor:
        """Images (N, 3, H, W) -> the results of ``out_feature_indices``; of a single one without a tuple."""
        outs = []
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i in self.out_feature_indices:
                outs.append(x)
        return outs[0] if len(outs) == 1 else tuple(outs)


class L2Norm(NeckL2Norm):
    """The old place of ``mmdet.models.necks.ssd_neck.L2Norm``; arguments as there."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        warnings.warn('L2Norm is in mmdet.models.necks.ssd_neck now', DeprecationWarning, stacklevel=2)
