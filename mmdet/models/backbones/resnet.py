"""ResNet (https://arxiv.org/abs/1512.03385) and ResNetV1d (https://arxiv.org/abs/1812.01187)."""

from typing import Any

from mmcv.cnn import build_conv_layer, build_norm_layer
from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.models.backbones.layers.resnet_blocks import BasicBlock, Bottleneck, add_norm
from mmdet.models.builder import BACKBONES
from mmdet.models.options.fold_norm import norm_after_conv
from mmdet.models.utils.res_layer import ResLayer
from mmdet.models.utils.weights import PartlyFrozen, freeze, resolve_init_cfg

# Default arguments, never written to.
BATCH_NORM = dict(type='BN', requires_grad=True)

__all__ = ['BasicBlock', 'Bottleneck', 'ResNet', 'ResNetV1d']


def scratch_init_cfg() -> list[dict]:
    """Initial values of a backbone that no checkpoint is given for."""
    return [
        dict(type='Kaiming', layer='Conv2d'),
        dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
    ]


@BACKBONES.register_module()
class ResNet(PartlyFrozen, BaseModule):
    """A stem of stride 4 and up to four stages of residual blocks.

    Args:
        depth: 18, 34, 50, 101 or 152.
        in_channels: channels of the images. Default: 3.
        stem_channels: channels behind the stem. Default: None, ``base_channels``.
        base_channels: inner channels of the first stage; they double from stage to stage. Default: 64.
        num_stages: 1 to 4.
        strides: of each stage.
        dilations: of the 3x3 convolutions of each stage.
        out_indices: stages whose outputs ``forward`` gives.
        style: 'pytorch': the 3x3 convolution of a bottleneck strides; 'caffe': its first 1x1.
        deep_stem: three 3x3 convolutions instead of one 7x7. Default: False.
        avg_down: stride on shortcuts by average pooling. Default: False.
        frozen_stages: the stem and this many stages are kept as they are; -1: all are trained.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm; ``requires_grad=False`` keeps its parameters.
        norm_eval: batch statistics stay as they are in training. Default: True.
        dcn: kind of deformable convolution. Default: None.
        stage_with_dcn: which stages have it.
        plugins: ``dict(cfg=..., position=..., stages=(bool, ...))`` each; see ``Bottleneck``. Default: None.
        with_cp: recompute activations in the backward pass: less memory, more time. Default: False.
        zero_init_residual: without a checkpoint, blocks start as identities. Default: True.
        pretrained: deprecated form of ``init_cfg=dict(type='Pretrained', checkpoint=...)``.
        init_cfg: initial values. Default: None, Kaiming.

    Raises:
        KeyError: the depth is unknown.
        ValueError: arguments that do not fit each other; the message names them.
    """

    arch_settings: dict[int, tuple[type[BaseModule], tuple[int, ...]]] = {
        18: (BasicBlock, (2, 2, 2, 2)),
        34: (BasicBlock, (3, 4, 6, 3)),
        50: (Bottleneck, (3, 4, 6, 3)),
        101: (Bottleneck, (3, 4, 23, 3)),
        152: (Bottleneck, (3, 8, 36, 3)),
    }

    def __init__(
        self,
        depth: int,
        in_channels: int = 3,
        stem_channels: int | None = None,
        base_channels: int = 64,
        num_stages: int = 4,
        strides: tuple[int, ...] = (1, 2, 2, 2),
        dilations: tuple[int, ...] = (1, 1, 1, 1),
        out_indices: tuple[int, ...] = (0, 1, 2, 3),
        style: str = 'pytorch',
        deep_stem: bool = False,
        avg_down: bool = False,
        frozen_stages: int = -1,
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        norm_eval: bool = True,
        dcn: dict | None = None,
        stage_with_dcn: tuple[bool, ...] = (False, False, False, False),
        plugins: list[dict] | None = None,
        with_cp: bool = False,
        zero_init_residual: bool = True,
        pretrained: str | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(resolve_init_cfg(init_cfg, pretrained, scratch_init_cfg()))
        self.depth = depth
        self.stem_channels = base_channels if stem_channels is None else stem_channels
        self.base_channels = base_channels
        self.num_stages = num_stages
        self.strides, self.dilations = strides, dilations
        self.out_indices = out_indices
        self.style = style
        self.deep_stem, self.avg_down = deep_stem, avg_down
        self.frozen_stages = frozen_stages
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self.norm_eval = norm_eval
        self.dcn, self.stage_with_dcn = dcn, stage_with_dcn
        self.plugins = plugins
        self.with_cp = with_cp
        self.zero_init_residual = zero_init_residual
        self.block, stage_blocks = self._look_up(depth)
        self.stage_blocks = stage_blocks[:num_stages]
        self._check_settings(len(stage_blocks))
        from_scratch = init_cfg is None and pretrained is None
        self.block_init_cfg = self._block_init_cfg() if from_scratch and zero_init_residual else None
        self._make_stem_layer(in_channels, self.stem_channels)
        self.res_layers = self._make_stages()
        self._freeze_stages()

    def _look_up(self, depth: int) -> tuple[type[BaseModule], tuple[int, ...]]:
        """The kind of block, and how many of them each stage has."""
        if depth not in self.arch_settings:
            raise KeyError(f'{type(self).__name__} knows the depths {sorted(self.arch_settings)}, not {depth}')
        return self.arch_settings[depth]

    def _check_settings(self, max_stages: int) -> None:
        """Refuse arguments that do not fit each other."""
        stages = self.num_stages
        if not 1 <= stages <= max_stages:
            raise ValueError(f'num_stages: expected 1 to {max_stages}, got {stages}')
        if not len(self.strides) == len(self.dilations) == stages:
            raise ValueError(
                f'strides and dilations: expected num_stages={stages} entries each, '
                f'got strides={self.strides} and dilations={self.dilations}'
            )
        if self.dcn is not None and len(self.stage_with_dcn) != stages:
            raise ValueError(f'stage_with_dcn: expected num_stages={stages} entries, got {self.stage_with_dcn}')
        if any(not 0 <= i < stages for i in self.out_indices):
            raise ValueError(f'out_indices: expected numbers in [0, {stages}), got {self.out_indices}')
        if not -1 <= self.frozen_stages <= stages:
            raise ValueError(f'frozen_stages: expected a number in [-1, {stages}], got {self.frozen_stages}')

    def _block_init_cfg(self) -> dict | None:
        """Zero for the last norm of a block: the block is an identity until that norm has learnt something."""
        last_norm = 'norm2' if issubclass(self.block, BasicBlock) else 'norm3'
        return dict(type='Constant', val=0, override=dict(name=last_norm))

    def _make_stem_layer(self, in_channels: int, stem_channels: int) -> None:
        """Build the layers before the first stage: stride 2 by convolution and 2 by max pooling."""
        if self.deep_stem:
            half = stem_channels // 2
            self.stem = nn.Sequential(
                *self._stem_conv(in_channels, half, stride=2),
                *self._stem_conv(half, half),
                *self._stem_conv(half, stem_channels),
            )
        else:
            self.conv1 = build_conv_layer(
                self.conv_cfg, in_channels, stem_channels, kernel_size=7, stride=2, padding=3, bias=False
            )
            self.norm1_name = add_norm(self, self.norm_cfg, stem_channels, 1)
            self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)

    def _stem_conv(self, in_channels: int, out_channels: int, stride: int = 1) -> tuple[nn.Module, ...]:
        conv = build_conv_layer(
            self.conv_cfg, in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False
        )
        return conv, build_norm_layer(self.norm_cfg, out_channels)[1], nn.ReLU(inplace=True)

    def _make_stages(self) -> list[str]:
        """Build the stages as children; gives their names."""
        names = []
        self.inplanes = self.stem_channels
        for i in range(self.num_stages):
            settings = self._stage_settings(i)
            layer = self.make_res_layer(**settings)
            self.inplanes = settings['planes'] * self.block.expansion
            names.append(f'layer{i + 1}')
            self.add_module(names[-1], layer)
        self.feat_dim = self.inplanes
        return names

    def _stage_settings(self, i: int) -> dict[str, Any]:
        """What ``make_res_layer`` gets for stage ``i``."""
        return dict(
            block=self.block,
            inplanes=self.inplanes,
            planes=self.base_channels * 2**i,
            num_blocks=self.stage_blocks[i],
            stride=self.strides[i],
            dilation=self.dilations[i],
            style=self.style,
            avg_down=self.avg_down,
            with_cp=self.with_cp,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
            dcn=self.dcn if self.dcn is not None and self.stage_with_dcn[i] else None,
            plugins=None if self.plugins is None else self.make_stage_plugins(self.plugins, i),
            init_cfg=self.block_init_cfg,
        )

    def make_stage_plugins(self, plugins: list[dict], stage_idx: int) -> list[dict]:
        """The plugins of one stage, without their key ``stages``.

        Args:
            plugins: ``stages`` of each has one bool a stage; without it all stages have the plugin.
            stage_idx: number of the stage, from 0.

        Raises:
            ValueError: ``stages`` has another length than ``num_stages``.
        """
        chosen = []
        for plugin in plugins:
            stages = plugin.get('stages')
            if stages is not None and len(stages) != self.num_stages:
                raise ValueError(f'stages of a plugin: expected num_stages={self.num_stages} entries, got {stages}')
            if stages is None or stages[stage_idx]:
                chosen.append({key: value for key, value in plugin.items() if key != 'stages'})
        return chosen

    def make_res_layer(self, **kwargs: Any) -> ResLayer:
        """Build one stage."""
        return ResLayer(**kwargs)

    @property
    def norm1(self) -> nn.Module:
        """The norm of the stem."""
        return getattr(self, self.norm1_name)

    def _freeze_stages(self) -> None:
        """Keep the stem and the first ``frozen_stages`` stages as they are; -1: none."""
        if self.frozen_stages < 0:
            return
        freeze(*([self.stem] if self.deep_stem else [self.norm1, self.conv1]))
        freeze(*(getattr(self, f'layer{i}') for i in range(1, self.frozen_stages + 1)))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Images ``(N, in_channels, H, W)`` to the outputs of the stages in ``out_indices``.

        With the default strides these are of stride 4, 8, 16 and 32.
        """
        x = self.stem(x) if self.deep_stem else self.relu(norm_after_conv(self.conv1, self.norm1, x))
        x = self.maxpool(x)
        outs = []
        for i, name in enumerate(self.res_layers):
            x = getattr(self, name)(x)
            if i in self.out_indices:
                outs.append(x)
        return tuple(outs)


@BACKBONES.register_module()
class ResNetV1d(ResNet):
    """ResNet whose stem is three 3x3 convolutions, and whose shortcuts stride by average pooling."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(deep_stem=True, avg_down=True, **kwargs)
