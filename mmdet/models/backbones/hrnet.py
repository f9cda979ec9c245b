"""HRNet (https://arxiv.org/abs/1902.09212): branches of all resolutions side by side, which see each other often."""

from collections.abc import Sequence

from mmcv.cnn import build_conv_layer, build_norm_layer
from mmcv.runner import BaseModule, ModuleList, Sequential
from torch import Tensor, nn

from mmdet.models.backbones.layers.resnet_blocks import BasicBlock, Bottleneck, add_norm
from mmdet.models.backbones.resnet import scratch_init_cfg
from mmdet.models.builder import BACKBONES
from mmdet.models.options.fold_norm import norm_after_conv
from mmdet.models.utils.res_layer import ResLayer
from mmdet.models.utils.weights import PartlyFrozen, resolve_init_cfg

# Default arguments, never written to.
BATCH_NORM = dict(type='BN')

STAGE_KEYS = ('num_modules', 'num_branches', 'block', 'num_blocks', 'num_channels')


def conv_norm(
    in_channels: int,
    out_channels: int,
    conv_cfg: dict | None,
    norm_cfg: dict,
    kernel_size: int = 3,
    stride: int = 1,
) -> list[nn.Module]:
    """A convolution that keeps the size but for its stride, and a norm."""
    conv = build_conv_layer(
        conv_cfg, in_channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2, bias=False
    )
    return [conv, build_norm_layer(norm_cfg, out_channels)[1]]


class HRModule(BaseModule):
    """Blocks in each branch, then each branch becomes a sum of all.

    Args:
        num_branches: number of branches, finest first.
        blocks: class of the blocks.
        num_blocks: number of blocks of each branch.
        in_channels: channels of each input.
        num_channels: inner channels of the blocks of each branch.
        multiscale_output: give all branches; else the finest. Default: True.
        with_cp: recompute activations in the backward pass. Default: False.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm. Default: batch normalisation.
        block_init_cfg: initial values of the blocks. Default: None.
        init_cfg: initial values. Default: None.

    Raises:
        ValueError: a list has another length than ``num_branches``.
    """

    def __init__(
        self,
        num_branches: int,
        blocks: type[BaseModule],
        num_blocks: Sequence[int],
        in_channels: Sequence[int],
        num_channels: Sequence[int],
        multiscale_output: bool = True,
        with_cp: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        block_init_cfg: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self._check_branches(num_branches, num_blocks, in_channels, num_channels)
        self.block_init_cfg = block_init_cfg
        self.in_channels = list(in_channels)
        self.num_branches = num_branches
        self.multiscale_output = multiscale_output
        self.norm_cfg = norm_cfg
        self.conv_cfg = conv_cfg
        self.with_cp = with_cp
        self.branches = self._make_branches(num_branches, blocks, num_blocks, num_channels)
        self.fuse_layers = self._make_fuse_layers()
        self.relu = nn.ReLU(inplace=False)

    def _check_branches(
        self,
        num_branches: int,
        num_blocks: Sequence[int],
        in_channels: Sequence[int],
        num_channels: Sequence[int],
    ) -> None:
        """Refuse lists that do not have an entry for each branch."""
        lists = dict(num_blocks=num_blocks, in_channels=in_channels, num_channels=num_channels)
        for name, values in lists.items():
            if len(values) != num_branches:
                raise ValueError(f'{name}: expected num_branches={num_branches} entries, got {values}')

    def _make_one_branch(
        self,
        branch_index: int,
        block: type[BaseModule],
        num_blocks: Sequence[int],
        num_channels: Sequence[int],
        stride: int = 1,
    ) -> ResLayer:
        """Build the blocks of a branch; its ``in_channels`` become those of its output."""
        planes = num_channels[branch_index]
        layer = ResLayer(
            block,
            self.in_channels[branch_index],
            planes,
            num_blocks[branch_index],
            stride=stride,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
            with_cp=self.with_cp,
            init_cfg=self.block_init_cfg,
        )
        self.in_channels[branch_index] = planes * block.expansion
        return layer

    def _make_branches(
        self, num_branches: int, block: type[BaseModule], num_blocks: Sequence[int], num_channels: Sequence[int]
    ) -> ModuleList:
        """Build the blocks of all branches."""
        return ModuleList(self._make_one_branch(i, block, num_blocks, num_channels) for i in range(num_branches))

    def _make_fuse_layers(self) -> nn.ModuleList | None:
        """Build what turns branch j (inner list) into a term of branch i (outer list)."""
        if self.num_branches == 1:
            return None
        outs = range(self.num_branches if self.multiscale_output else 1)
        return nn.ModuleList(nn.ModuleList(self._make_fuse_layer(j, i) for j in range(self.num_branches)) for i in outs)

    def _make_fuse_layer(self, source: int, target: int) -> nn.Module | None:
        """Upsampling to a finer branch, strided convolutions to a coarser one, nothing to the same."""
        in_channels, out_channels = self.in_channels[source], self.in_channels[target]
        settings = (self.conv_cfg, self.norm_cfg)
        if source == target:
            return None
        if source > target:
            enlarge = nn.Upsample(scale_factor=2 ** (source - target), mode='nearest')
            return nn.Sequential(*conv_norm(in_channels, out_channels, *settings, kernel_size=1), enlarge)
        steps = [
            nn.Sequential(*conv_norm(in_channels, in_channels, *settings, stride=2), nn.ReLU(inplace=False))
            for _ in range(target - source - 1)
        ]
        return nn.Sequential(*steps, nn.Sequential(*conv_norm(in_channels, out_channels, *settings, stride=2)))

    def forward(self, x: Sequence[Tensor]) -> list[Tensor]:
        """A map of each branch, finest first, to the same of other channels; to one without ``multiscale_output``."""
        maps = [branch(branch_input) for branch, branch_input in zip(self.branches, x)]
        if self.fuse_layers is None:
            return maps
        return [self.relu(self._sum(maps, i, layers)) for i, layers in enumerate(self.fuse_layers)]

    @staticmethod
    def _sum(maps: list[Tensor], target: int, layers: nn.ModuleList) -> Tensor:
        height, width = maps[target].shape[-2:]
        # a coarser map is rounded up where it does not divide, and reaches beyond the finer one once it is enlarged
        return sum(x if layer is None else layer(x)[..., :height, :width] for x, layer in zip(maps, layers))


@BACKBONES.register_module()
class HRNet(PartlyFrozen, BaseModule):
    """A stem of stride 4, a stage of one branch, and three stages of two, three and four branches.

    Args:
        extra: for each of 'stage1' to 'stage4' a dict with ``num_modules``, ``num_branches``, ``block`` ('BASIC' or
            'BOTTLENECK'), and for each branch ``num_blocks`` and ``num_channels``.
        in_channels: channels of the images. Default: 3.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm. Default: batch normalisation.
        norm_eval: batch statistics stay as they are in training. Default: True.
        with_cp: recompute activations in the backward pass. Default: False.
        zero_init_residual: without a checkpoint, blocks start as identities. Default: False.
        multiscale_output: give the maps of all branches; else the finest. Default: True.
        pretrained: deprecated form of ``init_cfg=dict(type='Pretrained', checkpoint=...)``.
        init_cfg: initial values. Default: None, Kaiming.

    Raises:
        KeyError: a stage or one of its keys is missing.
        ValueError: lists that do not fit the number of branches.
    """

    blocks_dict: dict[str, type[BaseModule]] = {'BASIC': BasicBlock, 'BOTTLENECK': Bottleneck}

    def __init__(
        self,
        extra: dict[str, dict],
        in_channels: int = 3,
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        norm_eval: bool = True,
        with_cp: bool = False,
        zero_init_residual: bool = False,
        multiscale_output: bool = True,
        pretrained: str | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(resolve_init_cfg(init_cfg, pretrained, scratch_init_cfg()))
        self._check_extra(extra)
        self.pretrained = pretrained
        self.extra = extra
        self.stage1_cfg, self.stage2_cfg = extra['stage1'], extra['stage2']
        self.stage3_cfg, self.stage4_cfg = extra['stage3'], extra['stage4']
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self.norm_eval = norm_eval
        self.with_cp = with_cp
        self.zero_init_residual = zero_init_residual

        self.conv1 = build_conv_layer(conv_cfg, in_channels, 64, kernel_size=3, stride=2, padding=1, bias=False)
        self.norm1_name = add_norm(self, norm_cfg, 64, 1)
        self.conv2 = build_conv_layer(conv_cfg, 64, 64, kernel_size=3, stride=2, padding=1, bias=False)
        self.norm2_name = add_norm(self, norm_cfg, 64, 2)
        self.relu = nn.ReLU(inplace=True)
        self._make_stages(multiscale_output)

    @staticmethod
    def _check_extra(extra: dict[str, dict]) -> None:
        """Refuse a description that lacks a stage or a part of one."""
        for name in ('stage1', 'stage2', 'stage3', 'stage4'):
            missing = [key for key in STAGE_KEYS if key not in extra.get(name, {})]
            if missing:
                raise KeyError(f'extra[{name!r}] of HRNet lacks {missing}')

    def _make_stages(self, multiscale_output: bool) -> None:
        """Build the four stages, and the transitions between them."""
        first = self.extra['stage1']
        block, planes = self.blocks_dict[first['block']], first['num_channels'][0]
        self.layer1 = self._make_layer(block, 64, planes, first['num_blocks'][0])
        channels = [planes * block.expansion]
        for i in (2, 3, 4):
            stage = self.extra[f'stage{i}']
            expansion = self.blocks_dict[stage['block']].expansion
            widths = [planes * expansion for planes in stage['num_channels']]
            self.add_module(f'transition{i - 1}', self._make_transition_layer(channels, widths))
            layer, channels = self._make_stage(stage, widths, multiscale_output or i < 4)
            self.add_module(f'stage{i}', layer)

    @property
    def norm1(self) -> nn.Module:
        """The norm after the first convolution."""
        return getattr(self, self.norm1_name)

    @property
    def norm2(self) -> nn.Module:
        """The norm after the second convolution."""
        return getattr(self, self.norm2_name)

    def _make_transition_layer(
        self, num_channels_pre_layer: Sequence[int], num_channels_cur_layer: Sequence[int]
    ) -> nn.ModuleList:
        """Build what makes the branches of the next stage: None for one that stays as it is."""
        settings = (self.conv_cfg, self.norm_cfg)
        last = len(num_channels_pre_layer) - 1
        layers: list[nn.Module | None] = []
        for i, channels in enumerate(num_channels_cur_layer):
            source = num_channels_pre_layer[min(i, last)]
            if i > last:  # a new branch, from the coarsest one there was
                widths = [source] * (i - last) + [channels]
                steps = (
                    nn.Sequential(*conv_norm(a, b, *settings, stride=2), nn.ReLU(inplace=True))
                    for a, b in zip(widths, widths[1:])
                )
                layers.append(nn.Sequential(*steps))
            elif channels != source:
                layers.append(nn.Sequential(*conv_norm(source, channels, *settings), nn.ReLU(inplace=True)))
            else:
                layers.append(None)
        return nn.ModuleList(layers)

    def _block_init_cfg(self, block: type[BaseModule]) -> dict | None:
        """Zero for the last norm of a block, where that is asked for and no checkpoint is given."""
        if not self.zero_init_residual or self.init_cfg != scratch_init_cfg():
            return None
        last_norm = 'norm2' if issubclass(block, BasicBlock) else 'norm3'
        return dict(type='Constant', val=0, override=dict(name=last_norm))

    def _make_layer(
        self, block: type[BaseModule], inplanes: int, planes: int, blocks: int, stride: int = 1
    ) -> ResLayer:
        """Build the first stage."""
        return ResLayer(
            block,
            inplanes,
            planes,
            blocks,
            stride=stride,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
            with_cp=self.with_cp,
            init_cfg=self._block_init_cfg(block),
        )

    def _make_stage(
        self, layer_config: dict, in_channels: Sequence[int], multiscale_output: bool = True
    ) -> tuple[Sequential, list[int]]:
        """Build a stage of several branches; gives it and the channels of its outputs."""
        block = self.blocks_dict[layer_config['block']]
        modules: list[HRModule] = []
        for i in range(layer_config['num_modules']):
            modules.append(
                HRModule(
                    layer_config['num_branches'],
                    block,
                    layer_config['num_blocks'],
                    in_channels,
                    layer_config['num_channels'],
                    multiscale_output=multiscale_output or i < layer_config['num_modules'] - 1,
                    with_cp=self.with_cp,
                    conv_cfg=self.conv_cfg,
                    norm_cfg=self.norm_cfg,
                    block_init_cfg=self._block_init_cfg(block),
                )
            )
            in_channels = modules[-1].in_channels
        return Sequential(*modules), list(in_channels)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Images ``(N, in_channels, H, W)`` to the maps of the branches, of stride 4, 8, 16 and 32."""
        x = self.relu(norm_after_conv(self.conv1, self.norm1, x))
        x = self.relu(norm_after_conv(self.conv2, self.norm2, x))
        maps = [self.layer1(x)]
        for i in (2, 3, 4):
            transition = getattr(self, f'transition{i - 1}')
            inputs = [
                maps[min(j, len(maps) - 1)] if layer is None else layer(maps[min(j, len(maps) - 1)])
                for j, layer in enumerate(transition)
            ]
            maps = getattr(self, f'stage{i}')(inputs)
        return maps
