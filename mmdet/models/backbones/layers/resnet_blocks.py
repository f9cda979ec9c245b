"""The residual blocks of ResNet (https://arxiv.org/abs/1512.03385)."""

from mmcv.cnn import build_conv_layer, build_norm_layer, build_plugin_layer
from mmcv.runner import BaseModule
from torch import Tensor, nn

import mmdet.ops  # noqa: F401 - registers the deformable convolutions that `dcn` names
from mmdet.models.options.fold_norm import norm_after_conv
from mmdet.models.utils.weights import run_block

# Default arguments, never written to.
BATCH_NORM = dict(type='BN')

PLUGIN_POSITIONS = ('after_conv1', 'after_conv2', 'after_conv3')


def add_norm(module: nn.Module, norm_cfg: dict, channels: int, index: int) -> str:
    """Build a norm layer, make it a child of ``module``, and give its name, such as ``bn1``."""
    name, norm = build_norm_layer(norm_cfg, channels, postfix=index)
    module.add_module(name, norm)
    return name


def choose_conv_cfg(conv_cfg: dict | None, dcn: dict | None) -> dict | None:
    """The kind of a 3x3 convolution: ``dcn`` where it is given and does not say ``fallback_on_stride=True``.

    Raises:
        ValueError: both choose.
    """
    dcn = dict(dcn or {})
    if not dcn or dcn.pop('fallback_on_stride', False):
        return conv_cfg
    if conv_cfg is not None:
        raise ValueError(f'dcn and conv_cfg={conv_cfg} both choose the 3x3 convolution; keep one')
    return dcn


def check_style(style: str) -> None:
    """Refuse a style of which it is not known where the stride stands."""
    if style not in ('pytorch', 'caffe'):
        raise ValueError(
            f"style: expected 'pytorch' (stride in the 3x3 convolution) or 'caffe' (in the first 1x1), got {style!r}"
        )


class BasicBlock(BaseModule):
    """Two 3x3 convolutions and a shortcut, for ResNet-18 and -34.

    Args:
        inplanes: channels of the input.
        planes: channels of the output.
        stride: of the first convolution. Default: 1.
        dilation: of the first convolution. Default: 1.
        downsample: module on the shortcut. Default: None.
        style: 'pytorch' or 'caffe'; the same for this block.
        with_cp: recompute activations in the backward pass. Default: False.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm. Default: batch normalisation.
        dcn, plugins: must be None.
        init_cfg: initial values. Default: None.

    Raises:
        ValueError: ``dcn`` or ``plugins`` is given, or the style is unknown.
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
        norm_cfg: dict = BATCH_NORM,
        dcn: dict | None = None,
        plugins: list[dict] | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_style(style)
        if dcn is not None or plugins:
            raise ValueError('BasicBlock (ResNet-18 and -34) has room neither for dcn nor for plugins')
        self.conv1 = build_conv_layer(
            conv_cfg, inplanes, planes, 3, stride=stride, padding=dilation, dilation=dilation, bias=False
        )
        self.norm1_name = add_norm(self, norm_cfg, planes, 1)
        self.conv2 = build_conv_layer(conv_cfg, planes, planes, 3, padding=1, bias=False)
        self.norm2_name = add_norm(self, norm_cfg, planes, 2)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride
        self.dilation = dilation
        self.with_cp = with_cp

    @property
    def norm1(self) -> nn.Module:
        """The norm after the first convolution."""
        return getattr(self, self.norm1_name)

    @property
    def norm2(self) -> nn.Module:
        """The norm after the second convolution."""
        return getattr(self, self.norm2_name)

    def _sum_of_paths(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(norm_after_conv(self.conv1, self.norm1, x))
        return norm_after_conv(self.conv2, self.norm2, out).add_(identity)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inplanes, H, W)`` to ``(N, planes, H / stride, W / stride)``."""
        return self.relu(run_block(self._sum_of_paths, x, self.with_cp))


class Bottleneck(BaseModule):
    """1x1, 3x3 and 1x1 convolutions and a shortcut, for ResNet-50 and deeper.

    Args:
        inplanes: channels of the input.
        planes: a quarter of the channels of the output.
        stride: of the 3x3 convolution ('pytorch') or of the first 1x1 ('caffe'). Default: 1.
        dilation: of the 3x3 convolution. Default: 1.
        downsample: module on the shortcut. Default: None.
        style: 'pytorch' or 'caffe'. Default: 'pytorch'.
        with_cp: recompute activations in the backward pass. Default: False.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm. Default: batch normalisation.
        dcn: kind of deformable convolution in place of the 3x3; ``fallback_on_stride=True`` in it keeps the
            ordinary one. Default: None.
        plugins: ``dict(cfg=dict(type=...), position='after_conv1' | 'after_conv2' | 'after_conv3')`` each.
        init_cfg: initial values. Default: None.
        width: channels of the 3x3 convolution. Default: None, ``planes``.
        groups: of the 3x3 convolution. Default: 1.

    Raises:
        ValueError: unknown style, unknown position of a plugin, or ``dcn`` beside ``conv_cfg``.
    """

    expansion = 4

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
        norm_cfg: dict = BATCH_NORM,
        dcn: dict | None = None,
        plugins: list[dict] | None = None,
        init_cfg: dict | list[dict] | None = None,
        *,
        width: int | None = None,
        groups: int = 1,
    ) -> None:
        super().__init__(init_cfg)
        check_style(style)
        width = planes if width is None else width
        outplanes = planes * self.expansion
        self.inplanes = inplanes
        self.planes = planes
        self.stride = stride
        self.dilation = dilation
        self.style = style
        self.with_cp = with_cp
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self.dcn = dcn
        self.with_dcn = dcn is not None
        self.with_modulated_dcn = False  # never more than this in 2.x, whose subclasses read it
        self.plugins = plugins
        self.conv1_stride, self.conv2_stride = (1, stride) if style == 'pytorch' else (stride, 1)

        self.conv1 = build_conv_layer(conv_cfg, inplanes, width, 1, stride=self.conv1_stride, bias=False)
        self.norm1_name = add_norm(self, norm_cfg, width, 1)
        self._make_middle(width, groups)
        self.conv3 = build_conv_layer(conv_cfg, width, outplanes, 1, bias=False)
        self.norm3_name = add_norm(self, norm_cfg, outplanes, 3)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self._make_plugins(plugins or [], (width, width, outplanes))

    def _middle_conv_cfg(self) -> dict | None:
        """The kind of the 3x3 convolution: deformable where ``dcn`` says so."""
        return choose_conv_cfg(self.conv_cfg, self.dcn)

    def _make_middle(self, width: int, groups: int) -> None:
        """Build what stands between the two 1x1 convolutions: the 3x3."""
        self.conv2 = build_conv_layer(
            self._middle_conv_cfg(),
            width,
            width,
            kernel_size=3,
            stride=self.conv2_stride,
            padding=self.dilation,
            dilation=self.dilation,
            groups=groups,
            bias=False,
        )
        self.norm2_name = add_norm(self, self.norm_cfg, width, 2)

    def init_weights(self) -> None:
        """Initial values as ``init_cfg`` says; a deformable convolution starts without offsets."""
        super().init_weights()
        for module in self.modules():
            if hasattr(module, 'conv_offset'):
                nn.init.zeros_(module.conv_offset.weight)
                nn.init.zeros_(module.conv_offset.bias)

    def _make_plugins(self, plugins: list[dict], channels: tuple[int, int, int]) -> None:
        """Build the plugins of the three positions, which see ``channels``."""
        for plugin in plugins:
            if plugin['position'] not in PLUGIN_POSITIONS:
                raise ValueError(
                    f'position of a plugin: expected one of {PLUGIN_POSITIONS}, got {plugin["position"]!r}'
                )
        self.with_plugins = bool(plugins)
        by_position = [[p['cfg'] for p in plugins if p['position'] == position] for position in PLUGIN_POSITIONS]
        self.after_conv1_plugins, self.after_conv2_plugins, self.after_conv3_plugins = by_position
        names = [self.make_block_plugins(width, cfgs) for width, cfgs in zip(channels, by_position)]
        self.after_conv1_plugin_names, self.after_conv2_plugin_names, self.after_conv3_plugin_names = names

    def make_block_plugins(self, in_channels: int, plugins: list[dict]) -> list[str]:
        """Build plugins as children of this block.

        Args:
            in_channels: channels of their input and output.
            plugins: a config each; its ``postfix`` is added to the child's name.

        Returns:
            The names of the children.

        Raises:
            ValueError: two children would have one name.
        """
        names = []
        for cfg in plugins:
            cfg = dict(cfg)
            name, layer = build_plugin_layer(cfg, in_channels=in_channels, postfix=cfg.pop('postfix', ''))
            if hasattr(self, name):
                raise ValueError(f"two plugins of one block are called {name!r}; tell them apart with 'postfix'")
            self.add_module(name, layer)
            names.append(name)
        return names

    def forward_plugin(self, x: Tensor, plugin_names: list[str]) -> Tensor:
        """Run the named plugins one after the other; the shape stays."""
        for name in plugin_names:
            x = getattr(self, name)(x)
        return x

    @property
    def norm1(self) -> nn.Module:
        """The norm after the first convolution."""
        return getattr(self, self.norm1_name)

    @property
    def norm2(self) -> nn.Module:
        """The norm after the second convolution."""
        return getattr(self, self.norm2_name)

    @property
    def norm3(self) -> nn.Module:
        """The norm after the third convolution."""
        return getattr(self, self.norm3_name)

    def _middle(self, x: Tensor) -> Tensor:
        """What stands between the two 1x1 convolutions."""
        return self.relu(norm_after_conv(self.conv2, self.norm2, x))

    def _sum_of_paths(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(norm_after_conv(self.conv1, self.norm1, x))
        out = self.forward_plugin(out, self.after_conv1_plugin_names)
        out = self.forward_plugin(self._middle(out), self.after_conv2_plugin_names)
        out = norm_after_conv(self.conv3, self.norm3, out)
        if self.after_conv3_plugin_names:
            return self.forward_plugin(out, self.after_conv3_plugin_names) + identity
        return out.add_(identity)  # no norm needs its output for the backward pass; a plugin may

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inplanes, H, W)`` to ``(N, 4 * planes, H / stride, W / stride)``."""
        return self.relu(run_block(self._sum_of_paths, x, self.with_cp))
