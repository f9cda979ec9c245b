"""Recursive feature pyramid of DetectoRS (https://arxiv.org/abs/2006.02334)."""

from collections.abc import Iterable
from typing import Any

import torch
from mmcv.cnn import constant_init, xavier_init
from mmcv.runner import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmdet.models.builder import NECKS, build_backbone
from mmdet.models.necks.fpn import FPN

# Default arguments, never written to.
KAIMING = dict(type='Kaiming', layer='Conv2d')


class ASPP(BaseModule):
    """Atrous spatial pyramid pooling (https://arxiv.org/abs/1706.05587): dilated convolutions side by side.

    Args:
        in_channels: channels of the input.
        out_channels: channels of each branch; the output has as many times more as there are dilations.
        dilations: of each branch; the last branch sees the mean over the whole map instead of the map. A dilation of 1
            is a 1x1 convolution, others are 3x3.
        init_cfg: initial values. Default: Kaiming.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dilations: tuple[int, ...] = (1, 3, 6, 1),
        init_cfg: dict | list[dict] | None = KAIMING,
    ) -> None:
        super().__init__(init_cfg)
        if dilations[-1] != 1:
            raise ValueError(f'dilations: the last branch sees one cell, so its dilation must be 1, got {dilations}')
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.aspp = nn.ModuleList(
            nn.Conv2d(in_channels, out_channels, 1)
            if dilation == 1
            else nn.Conv2d(in_channels, out_channels, 3, padding=dilation, dilation=dilation)
            for dilation in dilations
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, len(dilations) * out_channels, H, W)."""
        *local, whole = self.aspp
        outs = [F.relu(conv(x)) for conv in local]
        mean = F.relu(whole(self.gap(x)))
        return torch.cat([*outs, mean.expand(-1, -1, *x.shape[-2:])], dim=1)


@NECKS.register_module()
class RFP(FPN):
    """FPN whose outputs are fed back into further backbones; all rounds share the pyramid's own convolutions.

    The inputs are the image, then the backbone's outputs (``output_img=True`` of ``DetectoRS_ResNet``).

    Args:
        rfp_steps: number of rounds, the first, with the detector's backbone, counted.
        rfp_backbone: config of the backbone of each further round; it needs ``rfp_inplanes``.
        aspp_out_channels: channels of a branch of the :class:`ASPP` on what is fed back.
        aspp_dilations: dilation of its branches.
        init_cfg: must stay None: the neck initialises itself.
        kwargs: as of ``FPN``.

    Raises:
        ValueError: ``init_cfg`` is given, or fewer than one round.
    """

    def __init__(
        self,
        rfp_steps: int,
        rfp_backbone: dict,
        aspp_out_channels: int,
        aspp_dilations: tuple[int, ...] = (1, 3, 6, 1),
        init_cfg: dict | None = None,
        **kwargs: Any,
    ) -> None:
        if init_cfg is not None:
            raise ValueError(f'RFP initialises itself; init_cfg must be None, got {init_cfg!r}')
        if rfp_steps < 1:
            raise ValueError(f'rfp_steps: expected at least 1, got {rfp_steps}')
        super().__init__(init_cfg=init_cfg, **kwargs)
        self.rfp_steps = rfp_steps
        self.rfp_modules: Iterable[Any] = nn.ModuleList(build_backbone(rfp_backbone) for _ in range(rfp_steps - 1))
        self.rfp_aspp = ASPP(self.out_channels, aspp_out_channels, aspp_dilations)
        self.rfp_weight = nn.Conv2d(self.out_channels, 1, 1)

    def init_weights(self) -> None:
        """Xavier for the pyramid, the backbones as their configs say; all rounds count the same at first."""
        # not the parent's: it would overwrite, in the backbones, what their checkpoints lack and what starts at zero
        for conv in [*self.lateral_convs.modules(), *self.fpn_convs.modules()]:
            if isinstance(conv, nn.Conv2d):
                xavier_init(conv, distribution='uniform')
        for backbone in self.rfp_modules:
            backbone.init_weights()
        self.rfp_aspp.init_weights()
        constant_init(self.rfp_weight, 0)

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Image ``(N, 3, H, W)`` and ``len(in_channels)`` maps to ``num_outs`` maps ``(N, out_channels, H_i, W_i)``.

        Raises:
            ValueError: another number of inputs.
        """
        if len(inputs) != self.num_ins + 1:
            raise ValueError(
                f'RFP: expected the image and {self.num_ins} maps, got {len(inputs)} inputs; '
                'the backbone needs output_img=True'
            )
        image, *maps = inputs
        levels = super().forward(tuple(maps))
        for backbone in self.rfp_modules:
            # the finest level is not fed back: the first stage of the backbone stays as it is
            fed_back = [levels[0], *(self.rfp_aspp(level) for level in levels[1:])]
            again = super().forward(backbone.rfp_forward(image, fed_back))
            levels = tuple(self._blend(old, new) for old, new in zip(levels, again))
        return levels

    def _blend(self, old: Tensor, new: Tensor) -> Tensor:
        """A mean of two rounds, weighted place by place by what the new one says."""
        fraction = self.rfp_weight(new).sigmoid()
        return fraction * new + (1 - fraction) * old
