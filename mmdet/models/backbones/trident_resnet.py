"""The backbone of TridentNet: branches that share weights but see different scales (https://arxiv.org/abs/1901.01892)."""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import kaiming_init
from mmcv.runner import BaseModule
from torch import Tensor, nn
from torch.nn.modules.utils import _pair

from mmdet.models.backbones.layers.resnet_blocks import Bottleneck
from mmdet.models.backbones.resnet import ResNet
from mmdet.models.builder import BACKBONES
from mmdet.models.options.fold_norm import norm_after_conv
from mmdet.models.utils.res_layer import make_downsample
from mmdet.models.utils.weights import run_block

# Default arguments, never written to.
BATCH_NORM = dict(type='BN')


ALL_BRANCHES = -1  # test_branch_idx that keeps all branches


class TridentConv(BaseModule):
    """One convolution with several dilations, a branch each; all share its weights.

    In training, and with ``test_branch_idx=-1``, there are all branches; otherwise only that one.

    Args:
        in_channels, out_channels, kernel_size, stride: of the convolution.
        trident_dilations: dilation of each branch; the padding is the same number.
        test_branch_idx: the branch that is used in a test; -1: all.
        bias: whether there is a bias.
        init_cfg: initialisation; by default Kaiming.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        trident_dilations: tuple[int, ...] = (1, 2, 3),
        test_branch_idx: int = 1,
        bias: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.num_branch = len(trident_dilations)
        self.with_bias = bias
        self.test_branch_idx = test_branch_idx
        self.stride = _pair(stride)
        self.kernel_size = _pair(kernel_size)
        self.dilations = self.paddings = trident_dilations
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, *self.kernel_size))
        if bias:
            self.bias = nn.Parameter(torch.empty(out_channels))
        else:
            self.bias = None
        kaiming_init(self, distribution='uniform', mode='fan_in')

    @property
    def branches(self) -> list[int]:
        """Numbers of the branches in use."""
        if self.training or self.test_branch_idx == ALL_BRANCHES:
            return list(range(self.num_branch))
        return [self.test_branch_idx]

    def extra_repr(self) -> str:
        """The settings, for ``repr``."""
        names = 'in_channels', 'out_channels', 'kernel_size', 'num_branch', 'test_branch_idx', 'stride', 'dilations'
        return ', '.join(f'{name}={getattr(self, name)}' for name in names) + f', bias={self.with_bias}'

    def branch(self, x: Tensor, index: int) -> Tensor:
        """One branch: ``(N, in_channels, H, W)`` to ``(N, out_channels, H / stride, W / stride)``."""
        dilation = _pair(self.dilations[index])
        return F.conv2d(x, self.weight, self.bias, self.stride, dilation, dilation)

    def forward(self, inputs: list[Tensor]) -> list[Tensor]:
        """The input of each branch in use to its output."""
        return [self.branch(x, index) for x, index in zip(inputs, self.branches, strict=True)]


class TridentBottleneck(Bottleneck):
    """A bottleneck whose 3x3 convolution is a :class:`TridentConv`.

    Args:
        trident_dilations: dilation of each branch.
        test_branch_idx: the branch that is used in a test; -1: all.
        concat_output: stack the branches along the batch: the last block of a stage.
        kwargs: those of :class:`Bottleneck`.
    """

    def __init__(
        self, trident_dilations: tuple[int, ...], test_branch_idx: int, concat_output: bool, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.trident_dilations = trident_dilations
        self.num_branch = len(trident_dilations)
        self.test_branch_idx = test_branch_idx
        self.concat_output = concat_output
        self.conv2 = TridentConv(
            self.planes,
            self.planes,
            3,
            stride=self.conv2_stride,
            trident_dilations=trident_dilations,
            test_branch_idx=test_branch_idx,
        )

    def _branch(self, index: int, x: Tensor) -> Tensor:
        """The sum of both paths in one branch."""
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(norm_after_conv(self.conv1, self.norm1, x))
        out = self.forward_plugin(out, self.after_conv1_plugin_names)
        out = self.relu(self.norm2(self.conv2.branch(out, index)))
        out = self.forward_plugin(out, self.after_conv2_plugin_names)
        out = norm_after_conv(self.conv3, self.norm3, out)
        return self.forward_plugin(out, self.after_conv3_plugin_names) + identity

    def forward(self, x: Tensor | list[Tensor]) -> list[Tensor] | Tensor:
        """One map ``(N, C, H, W)`` for all branches, or a map for each, to a map for each, ``B`` branches in use.

        With ``concat_output`` the result is one tensor ``(B * N, C', H', W')``, all images of a branch together.
        """
        branches = self.conv2.branches
        inputs = x if isinstance(x, list) else [x] * len(branches)
        outs = [
            self.relu(run_block(partial(self._branch, index), part, self.with_cp))
            for index, part in zip(branches, inputs, strict=True)
        ]
        return torch.cat(outs) if self.concat_output else outs


def make_trident_res_layer(
    block: type[TridentBottleneck],
    inplanes: int,
    planes: int,
    num_blocks: int,
    stride: int = 1,
    trident_dilations: tuple[int, ...] = (1, 2, 3),
    style: str = 'pytorch',
    with_cp: bool = False,
    conv_cfg: dict | None = None,
    norm_cfg: dict = BATCH_NORM,
    dcn: dict | None = None,
    plugins: list[dict] | None = None,
    test_branch_idx: int = -1,
) -> nn.Sequential:
    """A stage of trident blocks.

    Args:
        block: class of the blocks.
        inplanes: channels of the input.
        planes: inner channels of a block; the output has ``planes * block.expansion``.
        num_blocks: number of blocks; the first one strides, the last one stacks the branches along the batch.
        stride: of the stage.
        trident_dilations, test_branch_idx: see :class:`TridentConv`.
        style, with_cp, conv_cfg, norm_cfg, dcn, plugins: of the blocks, see :class:`Bottleneck`.
    """
    outplanes = planes * block.expansion
    layers = []
    for i in range(num_blocks):
        changes = i == 0 and (stride != 1 or inplanes != outplanes)
        layers.append(
            block(
                inplanes=inplanes if i == 0 else outplanes,
                planes=planes,
                stride=stride if i == 0 else 1,
                trident_dilations=trident_dilations,
                downsample=make_downsample(inplanes, outplanes, stride, False, conv_cfg, norm_cfg) if changes else None,
                style=style,
                with_cp=with_cp,
                conv_cfg=conv_cfg,
                norm_cfg=norm_cfg,
                dcn=dcn,
                plugins=plugins,
                test_branch_idx=test_branch_idx,
                concat_output=i == num_blocks - 1,
            )
        )
    return nn.Sequential(*layers)


@BACKBONES.register_module()
class TridentResNet(ResNet):
    """ResNet of three stages, the last of which has branches.

    In training, and with ``test_branch_idx=-1``, its output of that stage has ``num_branch`` times as many images: all
    of the first branch, then all of the second and so on. Otherwise only the named branch is computed.

    Args:
        depth: 50, 101 or 152.
        num_branch: number of branches.
        test_branch_idx: the branch that is used in a test; -1: all.
        trident_dilations: dilation of each branch.
        kwargs: those of :class:`ResNet`, with ``num_stages=3``.

    Raises:
        ValueError: another number of stages or depth, or not one dilation for each branch.
    """

    def __init__(
        self, depth: int, num_branch: int, test_branch_idx: int, trident_dilations: tuple[int, ...], **kwargs: Any
    ) -> None:
        if kwargs.get('num_stages') != 3:
            raise ValueError(f'num_stages: TridentResNet needs 3, got {kwargs.get("num_stages", "the default, 4")}')
        if depth not in (50, 101, 152):
            raise ValueError(f'depth: TridentResNet is made of bottlenecks: expected 50, 101 or 152, got {depth}')
        if len(trident_dilations) != num_branch:
            raise ValueError(f'trident_dilations: expected num_branch={num_branch} entries, got {trident_dilations}')
        super().__init__(depth, **kwargs)
        self.num_branch = num_branch
        self.test_branch_idx = test_branch_idx
        last = self.num_stages - 1
        self.inplanes = self.base_channels * 2 ** (last - 1) * self.block.expansion
        settings = self._stage_settings(last)
        self.inplanes = self.feat_dim
        for unused in ('dilation', 'avg_down', 'init_cfg'):
            settings.pop(unused)
        settings.update(block=TridentBottleneck, trident_dilations=trident_dilations, test_branch_idx=test_branch_idx)
        setattr(self, self.res_layers[last], make_trident_res_layer(**settings))
        self._freeze_stages()
