"""Darknet-53 (https://arxiv.org/abs/1804.02767)."""

from mmcv.cnn import ConvModule
from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.models.backbones.resnet import scratch_init_cfg
from mmdet.models.builder import BACKBONES
from mmdet.models.utils.weights import PartlyFrozen, freeze, resolve_init_cfg

# Default arguments, never written to.
BATCH_NORM = dict(type='BN', requires_grad=True)
LEAKY_RELU = dict(type='LeakyReLU', negative_slope=0.1)


class ResBlock(BaseModule):
    """A 1x1 convolution to half the channels and a 3x3 one back, added to their input.

    Args:
        in_channels: of input and output; even.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm. Default: batch normalisation.
        act_cfg: kind of activation. Default: leaky ReLU.
        init_cfg: initial values. Default: None.

    Raises:
        ValueError: an odd number of channels.
    """

    def __init__(
        self,
        in_channels: int,
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        act_cfg: dict = LEAKY_RELU,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if in_channels % 2:
            raise ValueError(f'in_channels: expected an even number, got {in_channels}')
        settings = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.conv1 = ConvModule(in_channels, in_channels // 2, 1, **settings)
        self.conv2 = ConvModule(in_channels // 2, in_channels, 3, padding=1, **settings)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to the same shape."""
        return x + self.conv2(self.conv1(x))


@BACKBONES.register_module()
class Darknet(PartlyFrozen, BaseModule):
    """A convolution and five stages, each a convolution of stride 2 and residual blocks.

    Args:
        depth: 53, the only one. Default: 53.
        out_indices: outputs of ``forward``: 0 the first convolution, 1 to 5 the stages (strides 2, 4, 8, 16, 32 with
            64, 128, 256, 512 and 1024 channels). Default: (3, 4, 5).
        frozen_stages: this many of these layers are kept as they are; -1: all are trained.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm. Default: batch normalisation.
        act_cfg: kind of activation. Default: leaky ReLU.
        norm_eval: batch statistics stay as they are in training. Default: True.
        pretrained: deprecated form of ``init_cfg=dict(type='Pretrained', checkpoint=...)``.
        init_cfg: initial values. Default: None, Kaiming.

    Raises:
        KeyError: unknown ``depth``.
        ValueError: ``out_indices`` or ``frozen_stages`` out of range.
    """

    # residual blocks of each stage, and the channels before and behind it
    arch_settings: dict[int, tuple[tuple[int, ...], tuple[tuple[int, int], ...]]] = {
        53: ((1, 2, 8, 8, 4), ((32, 64), (64, 128), (128, 256), (256, 512), (512, 1024)))
    }

    def __init__(
        self,
        depth: int = 53,
        out_indices: tuple[int, ...] = (3, 4, 5),
        frozen_stages: int = -1,
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        act_cfg: dict = LEAKY_RELU,
        norm_eval: bool = True,
        pretrained: str | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(resolve_init_cfg(init_cfg, pretrained, scratch_init_cfg()))
        if depth not in self.arch_settings:
            raise KeyError(f'{type(self).__name__} knows the depths {sorted(self.arch_settings)}, not {depth}')
        blocks, channels = self.arch_settings[depth]
        outputs = len(blocks) + 1
        if not set(out_indices) <= set(range(outputs)):
            raise ValueError(f'out_indices: expected numbers in [0, {outputs}), got {out_indices}')
        if not -1 <= frozen_stages <= outputs:
            raise ValueError(f'frozen_stages: expected a number in [-1, {outputs}], got {frozen_stages}')
        self.depth = depth
        self.layers, self.channels = blocks, channels
        self.out_indices = out_indices
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        settings = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.conv1 = ConvModule(3, channels[0][0], 3, padding=1, **settings)
        self.cr_blocks = ['conv1']
        for i, (repeat, (narrow, wide)) in enumerate(zip(blocks, channels), 1):
            self.cr_blocks.append(f'conv_res_block{i}')
            self.add_module(self.cr_blocks[-1], self.make_conv_res_block(narrow, wide, repeat, **settings))
        self._freeze_stages()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Images ``(N, 3, H, W)`` to the outputs in ``out_indices``."""
        outs = []
        for i, name in enumerate(self.cr_blocks):
            x = getattr(self, name)(x)
            if i in self.out_indices:
                outs.append(x)
        return tuple(outs)

    def _freeze_stages(self) -> None:
        """Keep the first ``frozen_stages`` layers as they are; -1: none."""
        freeze(*(getattr(self, name) for name in self.cr_blocks[: max(self.frozen_stages, 0)]))

    @staticmethod
    def make_conv_res_block(
        in_channels: int,
        out_channels: int,
        res_repeat: int,
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        act_cfg: dict = LEAKY_RELU,
    ) -> nn.Sequential:
        """A stage: a convolution of stride 2 and ``res_repeat`` residual blocks."""
        settings = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        stage = nn.Sequential()
        stage.add_module('conv', ConvModule(in_channels, out_channels, 3, stride=2, padding=1, **settings))
        for i in range(res_repeat):
            stage.add_module(f'res{i}', ResBlock(out_channels, **settings))
        return stage
