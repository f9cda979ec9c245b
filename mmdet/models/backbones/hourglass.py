"""Stacked hourglass network (https://arxiv.org/abs/1603.06937), as CornerNet has it."""

from mmcv.cnn import ConvModule
from mmcv.runner import BaseModule, ModuleList
from torch import Tensor, nn
from torch.nn import functional as F

from mmdet.models.backbones.layers.resnet_blocks import BasicBlock
from mmdet.models.builder import BACKBONES
from mmdet.models.utils.res_layer import ResLayer
from mmdet.models.utils.weights import resolve_init_cfg

# Default arguments, never written to.
BATCH_NORM = dict(type='BN', requires_grad=True)
UPSAMPLE = dict(mode='nearest')


class HourglassModule(BaseModule):
    """A map is made smaller, passed on, made larger again, and added to itself.

    Args:
        depth: how often it is made smaller.
        stage_channels: channels of the map before and after each halving; at least ``depth + 1``.
        stage_blocks: blocks at each of these sizes.
        norm_cfg: kind of norm. Default: batch normalisation.
        init_cfg: initial values. Default: None.
        upsample_cfg: arguments of ``torch.nn.functional.interpolate``. Default: nearest neighbour.

    Raises:
        ValueError: fewer entries than needed.
    """

    def __init__(
        self,
        depth: int,
        stage_channels: tuple[int, ...],
        stage_blocks: tuple[int, ...],
        norm_cfg: dict = BATCH_NORM,
        init_cfg: dict | list[dict] | None = None,
        upsample_cfg: dict = UPSAMPLE,
    ) -> None:
        super().__init__(init_cfg)
        if min(len(stage_channels), len(stage_blocks)) < depth + 1:
            raise ValueError(
                f'stage_channels and stage_blocks: expected at least depth + 1 = {depth + 1} entries, '
                f'got {stage_channels} and {stage_blocks}'
            )
        self.depth = depth
        self.upsample_cfg = upsample_cfg
        self.up2 = F.interpolate
        (channels, inner), (blocks, inner_blocks) = stage_channels[:2], stage_blocks[:2]
        settings = dict(norm_cfg=norm_cfg)
        self.up1 = ResLayer(BasicBlock, channels, channels, blocks, **settings)
        self.low1 = ResLayer(BasicBlock, channels, inner, blocks, stride=2, **settings)
        if depth > 1:
            self.low2 = HourglassModule(depth - 1, stage_channels[1:], stage_blocks[1:], norm_cfg, None, upsample_cfg)
        else:
            self.low2 = ResLayer(BasicBlock, inner, inner, inner_blocks, **settings)
        # the block that changes the channels comes last, so that the layers before are alike
        self.low3 = ResLayer(BasicBlock, inner, channels, blocks, downsample_first=False, **settings)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        kept = self.up1(x)
        low = self.low3(self.low2(self.low1(x)))
        size = {} if 'scale_factor' in self.upsample_cfg else dict(size=kept.shape[-2:])
        return kept + self.up2(low, **size, **self.upsample_cfg)


@BACKBONES.register_module()
class HourglassNet(BaseModule):
    """A stem of stride 4 and hourglasses behind each other, each with an output.

    Args:
        downsample_times: how often an hourglass makes its map smaller. Default: 5.
        num_stacks: number of hourglasses. Default: 2.
        stage_channels, stage_blocks: see ``HourglassModule``.
        feat_channel: channels of the outputs. Default: 256.
        norm_cfg: kind of norm. Default: batch normalisation.
        pretrained: deprecated form of ``init_cfg=dict(type='Pretrained', checkpoint=...)``.
        init_cfg: initial values. Default: None, torch's own of convolutions.

    Raises:
        ValueError: no hourglass, or fewer entries than sizes of the map.
    """

    def __init__(
        self,
        downsample_times: int = 5,
        num_stacks: int = 2,
        stage_channels: tuple[int, ...] = (256, 256, 384, 384, 384, 512),
        stage_blocks: tuple[int, ...] = (2, 2, 2, 2, 2, 4),
        feat_channel: int = 256,
        norm_cfg: dict = BATCH_NORM,
        pretrained: str | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(resolve_init_cfg(init_cfg, pretrained))
        if num_stacks < 1:
            raise ValueError(f'num_stacks: expected 1 or more, got {num_stacks}')
        self.num_stacks = num_stacks
        channels = stage_channels[0]
        settings = dict(norm_cfg=norm_cfg)
        self.stem = nn.Sequential(
            ConvModule(3, channels // 2, 7, padding=3, stride=2, **settings),
            ResLayer(BasicBlock, channels // 2, channels, 1, stride=2, **settings),
        )
        self.hourglass_modules = ModuleList(
            HourglassModule(downsample_times, stage_channels, stage_blocks, norm_cfg) for _ in range(num_stacks)
        )
        # between one hourglass and the next
        between = range(num_stacks - 1)
        # one at least, though a single hourglass uses none: checkpoints have its keys
        # one stack has nothing between stacks, but weights of it hold a block
        self.inters = ModuleList(BasicBlock(channels, channels, **settings) for _ in range(max(num_stacks - 1, 1)))
        self.inters.requires_grad_(num_stacks > 1)
        self.conv1x1s = ModuleList(ConvModule(channels, channels, 1, act_cfg=None, **settings) for _ in between)
        self.out_convs = ModuleList(
            ConvModule(channels, feat_channel, 3, padding=1, **settings) for _ in range(num_stacks)
        )
        self.remap_convs = ModuleList(ConvModule(feat_channel, channels, 1, act_cfg=None, **settings) for _ in between)
        self.relu = nn.ReLU(inplace=True)

    def init_weights(self) -> None:
        """Load the checkpoint of ``init_cfg``, or draw torch's own initial values of convolutions anew."""
        super().init_weights()
        if self.init_cfg is None:
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    module.reset_parameters()

    def forward(self, x: Tensor) -> list[Tensor]:
        """Images ``(N, 3, H, W)`` to the outputs of all hourglasses, each ``(N, feat_channel, H / 4, W / 4)``."""
        x = self.stem(x)
        outs = []
        for i, (hourglass, out_conv) in enumerate(zip(self.hourglass_modules, self.out_convs)):
            out = out_conv(hourglass(x))
            outs.append(out)
            if i < self.num_stacks - 1:
                x = self.inters[i](self.relu(self.conv1x1s[i](x) + self.remap_convs[i](out)))
        return outs
