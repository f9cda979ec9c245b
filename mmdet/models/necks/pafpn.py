"""Path aggregation network (https://arxiv.org/abs/1803.01534): a pyramid with a second way, from fine to coarse."""

from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmdet.models.builder import NECKS
from mmdet.models.necks.fpn import FPN

# Default arguments, never written to.
XAVIER = dict(type='Xavier', layer='Conv2d', distribution='uniform')


@NECKS.register_module()
class PAFPN(FPN):
    """FPN whose levels are then added, strided, to the next coarser ones. Arguments as of ``FPN``."""

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
        init_cfg: dict | list[dict] | None = XAVIER,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            num_outs,
            start_level,
            end_level,
            add_extra_convs,
            relu_before_extra_convs,
            no_norm_on_lateral,
            conv_cfg,
            norm_cfg,
            act_cfg,
            init_cfg=init_cfg,
        )
        settings = dict(padding=1, conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg, inplace=False)
        steps = range(len(self.lateral_convs) - 1)
        self.downsample_convs = nn.ModuleList(
            ConvModule(out_channels, out_channels, 3, stride=2, **settings) for _ in steps
        )
        self.pafpn_convs = nn.ModuleList(ConvModule(out_channels, out_channels, 3, **settings) for _ in steps)

    def _smooth(self, laterals: list[Tensor]) -> list[Tensor]:
        """A 3x3 convolution of each level; then each, strided, is added to the next, and those are smoothed again."""
        finest, *others = super()._smooth(laterals)
        summed = [finest]
        for level, downsample in zip(others, self.downsample_convs):
            summed.append(level + downsample(summed[-1]))
        return [finest, *(conv(level) for conv, level in zip(self.pafpn_convs, summed[1:]))]

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """``len(in_channels)`` maps, finest first, to ``num_outs`` maps ``(N, out_channels, H_i, W_i)``."""
        return super().forward(inputs)
