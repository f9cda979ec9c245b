"""Feature pyramid network (https://arxiv.org/abs/1612.03144)."""

from mmcv.cnn import ConvModule
from mmcv.runner import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmdet.models.builder import NECKS
from mmdet.models.necks.levels import check_inputs, used_levels

# Default arguments, never written to.
UPSAMPLE = dict(mode='nearest')
XAVIER = dict(type='Xavier', layer='Conv2d', distribution='uniform')

EXTRA_CONV_SOURCES = ('on_input', 'on_lateral', 'on_output')


def upsample_to(x: Tensor, target: Tensor, upsample_cfg: dict) -> Tensor:
    """Upsample ``x`` by the ``scale_factor`` of ``upsample_cfg``, or without one to the size of ``target``."""
    if 'scale_factor' in upsample_cfg:
        return F.interpolate(x, **upsample_cfg)
    return F.interpolate(x, size=target.shape[-2:], **upsample_cfg)


@NECKS.register_module()
class FPN(BaseModule):
    """A pyramid whose every level has seen the levels above it.

    Args:
        in_channels: channels of each input, finest first.
        out_channels: channels of every output.
        num_outs: number of outputs; those beyond the used inputs are extra, ever coarser levels.
        start_level: first input used. Default: 0.
        end_level: last input used; -1: the last there is. Extra levels need the last one.
        add_extra_convs: how extra levels are made: False: max pooling of stride 2; 'on_input' (or True): a
            strided convolution of the last input; 'on_lateral', 'on_output': of the last level before or after
            its 3x3 convolution. Default: False.
        relu_before_extra_convs: rectify before the second and later extra convolutions. Default: False.
        no_norm_on_lateral: 1x1 convolutions without norm. Default: False.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm. Default: None.
        act_cfg: kind of activation. Default: None.
        upsample_cfg: arguments of ``torch.nn.functional.interpolate``. Default: nearest.
        init_cfg: initial values. Default: Xavier, uniform.

    Raises:
        TypeError: ``in_channels`` is not a list or tuple.
        ValueError: numbers of levels that do not fit, or an unknown ``add_extra_convs``.
    """

    def __init__(
        self,
        in_channels: list[int],
        out_channels: int,
        num_outs: int,
        start_level: int = 0,
        end_level: int = -1,
        add_extra_convs: bool | str = False,
        relu_before_extra_convs: bool = False,
        no_norm_on_lateral: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        act_cfg: dict | None = None,
        upsample_cfg: dict = UPSAMPLE,
        init_cfg: dict | list[dict] | None = XAVIER,
    ) -> None:
        super().__init__(init_cfg)
        used = used_levels(in_channels, num_outs, start_level, end_level)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.num_ins = len(in_channels)
        self.num_outs = num_outs
        self.start_level = start_level
        self.end_level = end_level
        self.backbone_end_level = used.stop
        self.add_extra_convs = 'on_input' if add_extra_convs is True else add_extra_convs
        self.relu_before_extra_convs = relu_before_extra_convs
        self.no_norm_on_lateral = no_norm_on_lateral
        self.upsample_cfg = dict(upsample_cfg)
        if self.add_extra_convs is not False and self.add_extra_convs not in EXTRA_CONV_SOURCES:
            raise ValueError(
                f'add_extra_convs: expected False, True or one of {EXTRA_CONV_SOURCES}, got {self.add_extra_convs!r}'
            )

        settings = dict(conv_cfg=conv_cfg, act_cfg=act_cfg, inplace=False)
        lateral_norm = None if no_norm_on_lateral else norm_cfg
        self.lateral_convs = nn.ModuleList(
            ConvModule(in_channels[i], out_channels, 1, norm_cfg=lateral_norm, **settings) for i in used
        )
        self.fpn_convs = nn.ModuleList(
            ConvModule(out_channels, out_channels, 3, padding=1, norm_cfg=norm_cfg, **settings) for _ in used
        )
        for i in range(num_outs - len(used) if self.add_extra_convs else 0):
            first_on_input = i == 0 and self.add_extra_convs == 'on_input'
            channels = in_channels[self.backbone_end_level - 1] if first_on_input else out_channels
            self.fpn_convs.append(
                ConvModule(channels, out_channels, 3, stride=2, padding=1, norm_cfg=norm_cfg, **settings)
            )

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """``len(in_channels)`` maps, finest first, to ``num_outs`` maps ``(N, out_channels, H_i, W_i)``.

        Raises:
            ValueError: another number of inputs than ``in_channels`` has.
        """
        check_inputs(type(self).__name__, inputs, self.num_ins)
        laterals = [conv(inputs[i + self.start_level]) for i, conv in enumerate(self.lateral_convs)]
        laterals = self._top_down(laterals)
        outs = self._smooth(laterals)
        source = {'on_input': inputs[self.backbone_end_level - 1], 'on_lateral': laterals[-1], 'on_output': outs[-1]}
        return tuple(self._extend(outs, source.get(str(self.add_extra_convs))))

    def _top_down(self, laterals: list[Tensor]) -> list[Tensor]:
        """Add every level, upsampled, to the next finer one, from the top."""
        summed = [laterals[-1]]
        for lateral in laterals[-2::-1]:
            summed.append(lateral + upsample_to(summed[-1], lateral, self.upsample_cfg))
        return summed[::-1]

    def _smooth(self, laterals: list[Tensor]) -> list[Tensor]:
        """A 3x3 convolution of each level."""
        return [conv(x) for conv, x in zip(self.fpn_convs, laterals)]

    def _extend(self, outs: list[Tensor], source: Tensor | None) -> list[Tensor]:
        """Append the extra levels; ``source`` is what the first extra convolution sees."""
        for i in range(len(outs), self.num_outs):
            if source is None:
                outs.append(F.max_pool2d(outs[-1], kernel_size=1, stride=2))
                continue
            outs.append(self.fpn_convs[i](source))
            source = F.relu(outs[-1]) if self.relu_before_extra_convs else outs[-1]
        return outs
