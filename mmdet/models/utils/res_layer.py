"""A stage of residual blocks."""

from typing import Any

from mmcv.cnn import build_conv_layer, build_norm_layer
from mmcv.runner import BaseModule, Sequential
from torch import Tensor, nn

from mmdet.models.options.fold_norm import norm_after_conv

# Default arguments, never written to.
BATCH_NORM = dict(type='BN')


def make_downsample(
    inplanes: int, outplanes: int, stride: int, avg_down: bool, conv_cfg: dict | None, norm_cfg: dict | None
) -> nn.Sequential:
    """The projection on a shortcut: 1x1 convolution and norm.

    With ``avg_down`` an average pooling does the striding, so that no input value is skipped (ResNet-D,
    https://arxiv.org/abs/1812.01187).
    """
    layers: list[nn.Module] = []
    if avg_down:
        layers.append(nn.AvgPool2d(kernel_size=stride, stride=stride, ceil_mode=True, count_include_pad=False))
        stride = 1
    layers.append(build_conv_layer(conv_cfg, inplanes, outplanes, kernel_size=1, stride=stride, bias=False))
    layers.append(build_norm_layer(norm_cfg, outplanes)[1])
    return nn.Sequential(*layers)


class ResLayer(Sequential):
    """Blocks in a row, one of which changes resolution and width.

    Args:
        block: class of the blocks, with an ``expansion``; called as ``block(inplanes, planes, **settings)``.
        inplanes: channels of the input.
        planes: inner channels of a block; the output has ``planes * block.expansion``.
        num_blocks: number of blocks.
        stride: of the block that changes the resolution. Default: 1.
        avg_down: stride on the shortcut by average pooling. Default: False.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm. Default: batch normalisation.
        downsample_first: the first block changes resolution and width; else the last one does, as in
            Hourglass networks. Default: True.
        kwargs: further arguments of every block.
    """

    def __init__(
        self,
        block: type[BaseModule],
        inplanes: int,
        planes: int,
        num_blocks: int,
        stride: int = 1,
        avg_down: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = BATCH_NORM,
        downsample_first: bool = True,
        **kwargs: Any,
    ) -> None:
        self.block = block
        outplanes = planes * block.expansion
        downsample = None
        if stride != 1 or inplanes != outplanes:
            downsample = make_downsample(inplanes, outplanes, stride, avg_down, conv_cfg, norm_cfg)
        kwargs = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, **kwargs)
        # the blocks that change nothing have the width of the output, or of the input where they come first
        widths = (outplanes, planes) if downsample_first else (inplanes, inplanes)
        layers = [block(*widths, stride=1, **kwargs) for _ in range(num_blocks - 1)]
        changing = block(inplanes, planes, stride=stride, downsample=downsample, **kwargs)
        super().__init__(*([changing, *layers] if downsample_first else [*layers, changing]))


class SimplifiedBasicBlock(BaseModule):
    """A basic block without a ReLU after the sum, and with an optional norm (``norm_cfg=None``), for SCNet.

    Args:
        inplanes: channels of the input.
        planes: channels of the output.
        stride: of the first convolution. Default: 1.
        dilation: of the first convolution. Default: 1.
        downsample: module on the shortcut. Default: None.
        style: no effect; both convolutions are 3x3.
        with_cp: must be False.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm; None: convolutions with bias instead. Default: batch normalisation.
        dcn, plugins: must be None.
        init_fg: initial values (sic: the public name).

    Raises:
        ValueError: ``dcn`` or ``plugins`` is given.
    """

    expansion = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        dilation: int = 1,
        downsample: nn.Module | None = None,
        style: str = 'pytorch',
        with_cp: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = BATCH_NORM,
        dcn: dict | None = None,
        plugins: list[dict] | None = None,
        init_fg: dict | None = None,
    ) -> None:
        super().__init__(init_fg)
        if dcn is not None or plugins:
            raise ValueError('SimplifiedBasicBlock has room neither for deformable convolution nor for plugins')
        if with_cp:
            raise ValueError('SimplifiedBasicBlock keeps its activations: with_cp must be False')
        self.with_norm = norm_cfg is not None
        self.conv1 = build_conv_layer(
            conv_cfg,
            inplanes,
            planes,
            3,
            stride=stride,
            padding=dilation,
            dilation=dilation,
            bias=not self.with_norm,
        )
        self.norm1_name = self._add_norm(norm_cfg, planes, 1)
        self.conv2 = build_conv_layer(conv_cfg, planes, planes, 3, padding=1, bias=not self.with_norm)
        self.norm2_name = self._add_norm(norm_cfg, planes, 2)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride
        self.dilation = dilation
        self.with_cp = with_cp

    def _add_norm(self, norm_cfg: dict | None, channels: int, index: int) -> str | None:
        if norm_cfg is None:
            return None
        name, norm = build_norm_layer(norm_cfg, channels, postfix=index)
        self.add_module(name, norm)
        return name

    @property
    def norm1(self) -> nn.Module | None:
        """The norm after the first convolution, if there is one."""
        return getattr(self, self.norm1_name) if self.norm1_name else None

    @property
    def norm2(self) -> nn.Module | None:
        """The norm after the second convolution, if there is one."""
        return getattr(self, self.norm2_name) if self.norm2_name else None

    def _sum_of_paths(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        norm1, norm2 = self.norm1, self.norm2
        if norm1 is None or norm2 is None:
            return self.conv2(self.relu(self.conv1(x))) + identity
        out = self.relu(norm_after_conv(self.conv1, norm1, x))
        return norm_after_conv(self.conv2, norm2, out) + identity

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inplanes, H, W)`` to ``(N, planes, H / stride, W / stride)``, not rectified."""
        return self._sum_of_paths(x)
