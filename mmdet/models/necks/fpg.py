"""Feature pyramid grids (https://arxiv.org/abs/2004.03580): pyramids side by side, with paths between them."""

from functools import reduce
from operator import add
from typing import Any

from mmcv.cnn import ConvModule
from mmcv.runner import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmdet.models.builder import NECKS
from mmdet.models.necks.levels import check_inputs, used_levels
from mmdet.utils.registry import did_you_mean

# Default arguments, never written to.
SAME_UP_TRANS = dict(type='conv', kernel_size=3, stride=2, padding=1)
ACROSS_LATERAL_TRANS = dict(type='conv', kernel_size=1)
ACROSS_DOWN_TRANS = dict(type='conv', kernel_size=3)
ACROSS_SKIP_TRANS = dict(type='identity')
OUTPUT_TRANS = dict(type='last_conv', kernel_size=3)
INIT: list[dict] = [
    dict(type='Caffe2Xavier', layer='Conv2d'),
    dict(type='Constant', layer=['_BatchNorm', '_InstanceNorm', 'GroupNorm', 'LayerNorm'], val=1.0),
]

PATHS = ('bu', 'td')  # from fine to coarse, and back


class Transition(BaseModule):
    """Base of the ways from one map of the grid to another.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        init_cfg: initial values. Default: None.
    """

    def __init__(self, in_channels: int, out_channels: int, init_cfg: dict | list[dict] | None = None) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.out_channels = out_channels

    def forward(self, x: Any) -> Tensor:
        """(N, in_channels, H, W), or a list of such maps -> (N, out_channels, H', W')."""
        raise NotImplementedError(f'{type(self).__name__} must say what it does with a map')


class UpInterpolationConv(Transition):
    """Interpolation, then a convolution.

    Args:
        in_channels, out_channels, init_cfg: as of :class:`Transition`.
        scale_factor: of the interpolation. Default: 2.
        mode: of the interpolation. Default: 'nearest'.
        align_corners: of the interpolation. Default: None.
        kernel_size: of the convolution. Default: 3.
        kwargs: further arguments of ``ConvModule``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale_factor: int = 2,
        mode: str = 'nearest',
        align_corners: bool | None = None,
        kernel_size: int = 3,
        init_cfg: dict | list[dict] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, init_cfg)
        self.mode = mode
        self.scale_factor = scale_factor
        self.align_corners = align_corners
        self.conv = ConvModule(in_channels, out_channels, kernel_size, padding=(kernel_size - 1) // 2, **kwargs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, scale_factor * H, scale_factor * W)."""
        x = F.interpolate(x, scale_factor=self.scale_factor, mode=self.mode, align_corners=self.align_corners)
        return self.conv(x)


class LastConv(Transition):
    """A convolution of the last of the maps that a level went through.

    Args:
        in_channels, out_channels, init_cfg: as of :class:`Transition`.
        num_inputs: number of these maps.
        kernel_size: of the convolution. Default: 3.
        kwargs: further arguments of ``ConvModule``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_inputs: int,
        kernel_size: int = 3,
        init_cfg: dict | list[dict] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, init_cfg)
        self.num_inputs = num_inputs
        self.conv_out = ConvModule(in_channels, out_channels, kernel_size, padding=(kernel_size - 1) // 2, **kwargs)

    def forward(self, inputs: list[Tensor]) -> Tensor:
        """``num_inputs`` maps (N, in_channels, H, W) -> (N, out_channels, H, W)."""
        check_inputs('LastConv', inputs, self.num_inputs)
        return self.conv_out(inputs[-1])


class IdentityTransition(Transition):
    """The map as it is.

    Raises:
        ValueError: the channels differ.
    """

    def __init__(self, in_channels: int, out_channels: int, init_cfg: dict | list[dict] | None = None) -> None:
        super().__init__(in_channels, out_channels, init_cfg)
        if in_channels != out_channels:
            raise ValueError(f"transition 'identity' cannot turn {in_channels} channels into {out_channels}")

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same."""
        return x


TRANSITIONS = dict(
    conv=ConvModule, interpolation_conv=UpInterpolationConv, last_conv=LastConv, identity=IdentityTransition
)


@NECKS.register_module()
class FPG(BaseModule):
    """``stack_times`` pyramids behind the first; each level of each is a sum of what reaches it.

    Transitions are ``dict(type=...)``, or None for no such way: 'conv' (a ``ConvModule``), 'interpolation_conv'
    (:class:`UpInterpolationConv`), 'last_conv' (:class:`LastConv`) or 'identity'.

    Args:
        in_channels: channels of each input, finest first.
        out_channels: channels of every output.
        num_outs: number of levels.
        stack_times: number of further pyramids.
        paths: 'bu' (fine to coarse) or 'td' (coarse to fine): the way within each further pyramid.
        inter_channels: channels of the levels, one number or one each. Default: None, ``out_channels``.
        same_down_trans: within a pyramid, from the next coarser level, on 'td' paths.
        same_up_trans: within a pyramid, from the next finer level, on 'bu' paths.
        across_lateral_trans: from the same level of the pyramid before.
        across_down_trans: from the next coarser level of the pyramid before.
        across_up_trans: from the next finer level of the pyramid before.
        across_skip_trans: from the same level of the first pyramid.
        output_trans: from all maps of a level to its output.
        start_level: first input used. Default: 0.
        end_level: last input used; -1: the last there is.
        add_extra_convs: extra levels by strided convolutions, else by taking every second cell. Default: False.
        norm_cfg: no effect; each transition names its own norm. Default: None.
        skip_inds: for each level, the pyramids (from 0) in which it stays as it was. Default: None, none.
        init_cfg: initial values.

    Raises:
        TypeError: ``in_channels`` is not a list or tuple.
        ValueError: numbers that do not fit, unknown paths or transitions.
    """

    def __init__(
        self,
        in_channels: list[int],
        out_channels: int,
        num_outs: int,
        stack_times: int,
        paths: list[str],
        inter_channels: int | list[int] | None = None,
        same_down_trans: dict | None = None,
        same_up_trans: dict | None = SAME_UP_TRANS,
        across_lateral_trans: dict | None = ACROSS_LATERAL_TRANS,
        across_down_trans: dict | None = ACROSS_DOWN_TRANS,
        across_up_trans: dict | None = None,
        across_skip_trans: dict | None = ACROSS_SKIP_TRANS,
        output_trans: dict = OUTPUT_TRANS,
        start_level: int = 0,
        end_level: int = -1,
        add_extra_convs: bool = False,
        norm_cfg: dict | None = None,
        skip_inds: list[tuple[int, ...]] | None = None,
        init_cfg: dict | list[dict] | None = INIT,
    ) -> None:
        super().__init__(init_cfg)
        used = used_levels(in_channels, num_outs, start_level, end_level)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.num_ins = len(in_channels)
        self.num_outs = num_outs
        self.stack_times = stack_times
        self.paths = list(paths)
        widths = out_channels if inter_channels is None else inter_channels
        self.inter_channels = [widths] * num_outs if isinstance(widths, int) else list(widths)
        self.skip_inds = [()] * num_outs if skip_inds is None else skip_inds
        self.start_level = start_level
        self.end_level = end_level
        self.backbone_end_level = used.stop
        self.add_extra_convs = bool(add_extra_convs)
        self.norm_cfg = norm_cfg
        self.with_bias = norm_cfg is None
        self.relu = nn.ReLU(inplace=False)
        self.same_down_trans = same_down_trans
        self.same_up_trans = same_up_trans
        self.across_lateral_trans = across_lateral_trans
        self.across_down_trans = across_down_trans
        self.across_up_trans = across_up_trans
        self.across_skip_trans = across_skip_trans
        self.output_trans = output_trans
        self._check_settings()
        self._init_layers(used)

    def _init_layers(self, used: range) -> None:
        """Make the pyramids on the levels ``used`` of the backbone."""
        widths, levels = self.inter_channels, range(self.num_outs)
        self.lateral_convs = nn.ModuleList(nn.Conv2d(self.in_channels[i], width, 1) for i, width in zip(used, widths))
        self.extra_downsamples = nn.ModuleList(self._extra_level(i) for i in levels[len(used) :])
        self.fpn_transitions = nn.ModuleList(
            nn.ModuleList(self._transitions(stage, level) for level in levels) for stage in range(self.stack_times)
        )
        self.output_transition = nn.ModuleList(
            self.build_trans(self.output_trans, width, self.out_channels, num_inputs=self.stack_times + 1)
            for width in widths
        )

    def _check_settings(self) -> None:
        """Refuse lists of other lengths than levels and pyramids, and unknown paths."""
        for name, value, length in (
            ('inter_channels', self.inter_channels, self.num_outs),
            ('skip_inds', self.skip_inds, self.num_outs),
            ('paths', self.paths, self.stack_times),
        ):
            if len(value) != length:
                raise ValueError(f'{name}: expected {length} entries, got {value}')
        if not set(self.paths) <= set(PATHS):
            raise ValueError(f"paths: expected 'bu' (fine to coarse) or 'td' (coarse to fine) each, got {self.paths}")

    def _extra_level(self, level: int) -> nn.Module:
        """What makes an extra level from the one below it."""
        if self.add_extra_convs:
            return nn.Conv2d(self.inter_channels[level - 1], self.inter_channels[level], 3, stride=2, padding=1)
        return nn.MaxPool2d(1, stride=2)

    def _transitions(self, stage: int, level: int) -> nn.ModuleDict:
        """The ways that lead to one level of one further pyramid; none where the level is skipped."""
        if stage in self.skip_inds[level]:
            return nn.ModuleDict()
        ways = dict(
            same_up=(self.same_up_trans, level - 1),
            same_down=(self.same_down_trans, level + 1),
            across_lateral=(self.across_lateral_trans, level),
            across_down=(self.across_down_trans, level + 1),
            across_up=(self.across_up_trans, level - 1),
            across_skip=(self.across_skip_trans, level),
        )
        return nn.ModuleDict(
            {
                name: self.build_trans(cfg, self.inter_channels[source], self.inter_channels[level])
                for name, (cfg, source) in ways.items()
                if cfg is not None and 0 <= source < self.num_outs
            }
        )

    def build_trans(self, cfg: dict, in_channels: int, out_channels: int, **extra_args: Any) -> nn.Module:
        """Build a transition from its config.

        Raises:
            ValueError: unknown type.
        """
        settings = dict(cfg)
        kind = settings.pop('type')
        if kind not in TRANSITIONS:
            raise ValueError(
                f'transition: expected a type of {list(TRANSITIONS)}, got {kind!r}'
                f'{did_you_mean(str(kind), TRANSITIONS)}'
            )
        return TRANSITIONS[kind](in_channels, out_channels, **settings, **extra_args)

    def fuse(self, fuse_dict: dict[str, Tensor | None]) -> Tensor:
        """Sum of the maps that are not None.

        Raises:
            ValueError: maps of different shapes.
        """
        maps = {name: x for name, x in fuse_dict.items() if x is not None}
        if len({x.shape for x in maps.values()}) != 1:
            shapes = {name: tuple(x.shape) for name, x in maps.items()}
            raise ValueError(
                f'FPG: the maps that reach a level must have one shape, got {shapes}; images must be padded to a '
                'multiple of the coarsest stride (size_divisor of Pad), and transitions between levels must double or '
                'halve the size'
            )
        return reduce(add, maps.values())

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """``len(in_channels)`` maps, finest first, to ``num_outs`` maps ``(N, out_channels, H_i, W_i)``.

        Raises:
            ValueError: another number of inputs than ``in_channels`` has, or sizes that do not halve exactly.
        """
        check_inputs('FPG', inputs, self.num_ins)
        first = [conv(inputs[i + self.start_level]) for i, conv in enumerate(self.lateral_convs)]
        for downsample in self.extra_downsamples:
            first.append(downsample(first[-1]))
        pyramids = [first]
        for path, transitions in zip(self.paths, self.fpn_transitions):
            pyramids.append(self._next_pyramid(path, transitions, first, pyramids[-1]))
        return tuple(trans(list(maps)) for trans, maps in zip(self.output_transition, zip(*pyramids)))

    def _next_pyramid(self, path: str, transitions: Any, first: list[Tensor], before: list[Tensor]) -> list[Tensor]:
        """One further pyramid from the first and the one before; ``transitions``: an ``nn.ModuleDict`` a level."""
        same, step = ('same_up', -1) if path == 'bu' else ('same_down', 1)
        pyramid = list(before)
        for level in range(self.num_outs)[::-step]:
            ways = transitions[level]
            if not len(ways):
                continue
            sources = {
                same: (pyramid, level + step),
                'across_lateral': (before, level),
                'across_down': (before, level + 1),
                'across_up': (before, level - 1),
                'across_skip': (first, level),
            }
            pyramid[level] = self.fuse(
                {name: ways[name](maps[i]) for name, (maps, i) in sources.items() if name in ways}
            )
        return pyramid
