"""CSPDarknet, the backbone of YOLOX (https://arxiv.org/abs/2107.08430)."""

import math

import torch
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from mmcv.runner import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmdet.models.builder import BACKBONES
from mmdet.models.utils.csp_layer import CSPLayer
from mmdet.models.utils.weights import PartlyFrozen, freeze
from mmdet.utils.registry import did_you_mean

SQRT_5 = math.sqrt(5)  # torch's own slope for the initial values of convolutions

# Default arguments, never written to.
BATCH_NORM = dict(type='BN', momentum=0.03, eps=0.001)
SWISH = dict(type='Swish')
KAIMING = dict(
    type='Kaiming',
    layer='Conv2d',
    a=SQRT_5,
    distribution='uniform',
    mode='fan_in',
    nonlinearity='leaky_relu',
)


class Focus(nn.Module):
    """Halves a map's sides by putting the four pixels of each 2x2 square behind each other; then a convolution.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size, stride: of the convolution. Default: 1.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm. Default: batch normalisation.
        act_cfg: kind of activation. Default: Swish.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        stride: int = 1,
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        act_cfg: dict = SWISH,
    ) -> None:
        super().__init__()
        self.conv = ConvModule(
            in_channels * 4,
            out_channels,
            kernel_size,
            stride=stride,
            padding=(kernel_size - 1) // 2,
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, out_channels, H / 2, W / 2)``, rounded up, for a stride of 1.

        An odd side gets a row or column of zeros at its end.
        """
        if x.shape[-2] % 2 or x.shape[-1] % 2:
            x = F.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2))
        # left column of the squares first, as the published weights expect
        pixels = [x[..., row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.conv(torch.cat(pixels, dim=1))


class SPPBottleneck(BaseModule):
    """Spatial pyramid pooling (https://arxiv.org/abs/1406.4729): maxima over windows of several sizes.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_sizes: of the windows, odd. Default: (5, 9, 13).
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm. Default: batch normalisation.
        act_cfg: kind of activation. Default: Swish.
        init_cfg: initial values. Default: None.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_sizes: tuple[int, ...] = (5, 9, 13),
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        act_cfg: dict = SWISH,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        mid_channels = in_channels // 2
        settings = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.kernel_sizes = kernel_sizes
        self.conv1 = ConvModule(in_channels, mid_channels, 1, **settings)
        # The maximum over a window of 9 is that over a window of 5 of the maxima over windows of 5. Each pooling goes
        # on from the next smaller one, and looks at 3 * 25 numbers where windows of 5, 9 and 13 have 275.
        sizes = sorted(kernel_sizes)
        windows = [size - last + 1 for last, size in zip([1, *sizes], sizes)]
        self.poolings = nn.ModuleList(nn.MaxPool2d(size, stride=1, padding=size // 2) for size in windows)
        self.conv2 = ConvModule(mid_channels * (len(kernel_sizes) + 1), out_channels, 1, **settings)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``."""
        x = pooled = self.conv1(x)
        maxima = {}
        for size, pooling in zip(sorted(self.kernel_sizes), self.poolings):
            maxima[size] = pooled = pooling(pooled)
        return self.conv2(torch.cat([x, *(maxima[size] for size in self.kernel_sizes)], dim=1))


@BACKBONES.register_module()
class CSPDarknet(PartlyFrozen, BaseModule):
    """A stem of stride 2 and stages of a convolution of stride 2 and a cross-stage partial layer.

    Args:
        arch: 'P5' (four stages, up to stride 32) or 'P6' (five, up to 64). Default: 'P5'.
        deepen_factor: multiplier of the numbers of blocks. Default: 1.
        widen_factor: multiplier of all widths. Default: 1.
        out_indices: outputs of ``forward``: 0 the stem (stride 2), then the stages (4, 8, 16, 32 and 64).
            Default: (2, 3, 4).
        frozen_stages: the stem and this many stages are kept as they are; -1: all are trained.
        use_depthwise: depthwise separable convolutions. Default: False.
        arch_ovewrite: rows in the place of those of ``arch``, each ``[in_channels, out_channels, blocks,
            shortcuts in the blocks, spatial pyramid pooling]``. Default: None.
        spp_kernal_sizes: windows of the spatial pyramid pooling. Default: (5, 9, 13).
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm. Default: batch normalisation.
        act_cfg: kind of activation. Default: Swish.
        norm_eval: batch statistics stay as they are in training. Default: False.
        init_cfg: initial values. Default: Kaiming, uniform, for a leaky ReLU.

    Raises:
        KeyError: unknown ``arch``.
        ValueError: ``out_indices`` or ``frozen_stages`` out of range.
    """

    # channels before and behind, blocks, shortcuts in the blocks, spatial pyramid pooling
    arch_settings: dict[str, list[list]] = {
        'P5': [
            [64, 128, 3, True, False],
            [128, 256, 9, True, False],
            [256, 512, 9, True, False],
            [512, 1024, 3, False, True],
        ],
        'P6': [
            [64, 128, 3, True, False],
            [128, 256, 9, True, False],
            [256, 512, 9, True, False],
            [512, 768, 3, True, False],
            [768, 1024, 3, False, True],
        ],
    }

    def __init__(
        self,
        arch: str = 'P5',
        deepen_factor: float = 1.0,
        widen_factor: float = 1.0,
        out_indices: tuple[int, ...] = (2, 3, 4),
        frozen_stages: int = -1,
        use_depthwise: bool = False,
        arch_ovewrite: list[list] | None = None,
        spp_kernal_sizes: tuple[int, ...] = (5, 9, 13),
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        act_cfg: dict = SWISH,
        norm_eval: bool = False,
        init_cfg: dict | list[dict] | None = KAIMING,
    ) -> None:
        super().__init__(init_cfg)
        rows = arch_ovewrite or self._look_up(arch)
        if not set(out_indices) <= set(range(len(rows) + 1)):
            raise ValueError(f'out_indices: expected numbers in [0, {len(rows) + 1}), got {out_indices}')
        if not -1 <= frozen_stages <= len(rows):
            raise ValueError(f'frozen_stages: expected a number in [-1, {len(rows)}], got {frozen_stages}')
        self.out_indices = out_indices
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.use_depthwise = use_depthwise
        self.spp_kernal_sizes = spp_kernal_sizes
        self.settings = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.stem = Focus(3, int(rows[0][0] * widen_factor), kernel_size=3, **self.settings)
        self.layers = ['stem']
        for i, (narrow, wide, blocks, shortcut, pooling) in enumerate(rows, 1):
            stage = self._make_stage(
                int(narrow * widen_factor),
                int(wide * widen_factor),
                max(round(blocks * deepen_factor), 1),
                shortcut,
                pooling,
            )
            self.layers.append(f'stage{i}')
            self.add_module(f'stage{i}', stage)
        self._freeze_stages()

    def _look_up(self, arch: str) -> list[list]:
        """The rows of an architecture."""
        if arch not in self.arch_settings:
            raise KeyError(f"arch: expected 'P5' or 'P6', got {arch!r}{did_you_mean(arch, self.arch_settings)}")
        return self.arch_settings[arch]

    def _make_stage(self, narrow: int, wide: int, blocks: int, shortcut: bool, pooling: bool) -> nn.Sequential:
        """One stage."""
        conv = DepthwiseSeparableConvModule if self.use_depthwise else ConvModule
        layers = [conv(narrow, wide, 3, stride=2, padding=1, **self.settings)]
        if pooling:
            layers.append(SPPBottleneck(wide, wide, self.spp_kernal_sizes, **self.settings))
        layers.append(
            CSPLayer(
                wide,
                wide,
                num_blocks=blocks,
                add_identity=shortcut,
                use_depthwise=self.use_depthwise,
                **self.settings,
            )
        )
        return nn.Sequential(*layers)

    def _freeze_stages(self) -> None:
        """Keep the stem and the first ``frozen_stages`` stages as they are; -1: none."""
        freeze(*(getattr(self, name) for name in self.layers[: self.frozen_stages + 1]))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Images ``(N, 3, H, W)`` to the outputs in ``out_indices``."""
        outs = []
        for i, name in enumerate(self.layers):
            x = getattr(self, name)(x)
            if i in self.out_indices:
                outs.append(x)
        return tuple(outs)
