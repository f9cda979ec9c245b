"""The pyramid that a search found, NAS-FPN (https://arxiv.org/abs/1904.07392)."""

from typing import Any, NamedTuple

from mmcv.cnn import ConvModule
from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.models.builder import NECKS
from mmdet.models.necks.levels import check_inputs, used_levels
from mmdet.ops import GlobalPoolingCell, SumCell

# Default arguments, never written to.
CAFFE2_XAVIER = dict(type='Caffe2Xavier', layer='Conv2d')

NUM_LEVELS = 5  # the search was for P3 to P7


class Merge(NamedTuple):
    """One cell of a stage: ``result = cell(first, second)`` at the resolution of ``size_of``."""

    cell: str
    result: str
    first: str
    second: str
    size_of: str
    convolves: bool = True


# The stage that the search found; a name that stands on the right before it is a result is an input of the stage.
STAGE = (
    Merge('gp_64_4', 'p4_1', 'p6', 'p4', 'p4'),
    Merge('sum_44_4', 'p4_2', 'p4_1', 'p4', 'p4'),
    Merge('sum_43_3', 'p3', 'p4_2', 'p3', 'p3'),
    Merge('sum_34_4', 'p4', 'p3', 'p4_2', 'p4'),
    Merge('gp_43_5', 'p5_1', 'p4', 'p3', 'p5', convolves=False),
    Merge('sum_55_5', 'p5', 'p5', 'p5_1', 'p5'),
    Merge('gp_54_7', 'p7_1', 'p5', 'p4_2', 'p7', convolves=False),
    Merge('sum_77_7', 'p7', 'p7', 'p7_1', 'p7'),
    Merge('gp_75_6', 'p6', 'p7', 'p5', 'p6'),
)


def make_stage(channels: int, norm_cfg: dict | None) -> nn.ModuleDict:
    """The cells of one stage, named as in checkpoints."""
    kinds = dict(sum=SumCell, gp=GlobalPoolingCell)
    return nn.ModuleDict(
        {
            merge.cell: kinds[merge.cell.split('_')[0]](
                in_channels=channels,
                out_channels=channels,
                with_out_conv=merge.convolves,
                out_norm_cfg=norm_cfg if merge.convolves else None,
            )
            for merge in STAGE
        }
    )


def run_stage(cells: Any, levels: list[Tensor]) -> list[Tensor]:
    """By the ``nn.ModuleDict`` of merging cells, P3 to P7, each (N, C, H_i, W_i), to maps of the same shapes."""
    names = [f'p{i + 3}' for i in range(len(levels))]
    maps = dict(zip(names, levels))
    for merge in STAGE:
        size = maps[merge.size_of].shape[-2:]
        maps[merge.result] = cells[merge.cell](maps[merge.first], maps[merge.second], out_size=size)
    return [maps[name] for name in names]


@NECKS.register_module()
class NASFPN(BaseModule):
    """A stack of equal stages, each of which merges five levels as the search found best.

    Args:
        in_channels: channels of each input, finest first.
        out_channels: channels of every output.
        num_outs: number of outputs; 5.
        stack_times: number of stages.
        start_level: first input used. Default: 0.
        end_level: last input used; -1: the last there is.
        add_extra_convs: no effect; extra levels are made by a 1x1 convolution and max pooling. Default: False.
        norm_cfg: kind of norm. Default: None.
        init_cfg: initial values. Default: Xavier as in Caffe2.

    Raises:
        TypeError: ``in_channels`` is not a list or tuple.
        ValueError: numbers of levels that do not fit.
    """

    def __init__(
        self,
        in_channels: list[int],
        out_channels: int,
        num_outs: int,
        stack_times: int,
        start_level: int = 0,
        end_level: int = -1,
        add_extra_convs: bool | str = False,
        norm_cfg: dict | None = None,
        init_cfg: dict | list[dict] | None = CAFFE2_XAVIER,
    ) -> None:
        super().__init__(init_cfg)
        used = used_levels(in_channels, num_outs, start_level, end_level)
        if num_outs != NUM_LEVELS:
            raise ValueError(f'num_outs: NASFPN merges {NUM_LEVELS} levels, P3 to P7; got {num_outs}')
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.num_ins = len(in_channels)
        self.num_outs = num_outs
        self.stack_times = stack_times
        self.norm_cfg = norm_cfg
        self.start_level = start_level
        self.end_level = end_level
        self.backbone_end_level = used.stop
        self.add_extra_convs = add_extra_convs

        settings = dict(norm_cfg=norm_cfg, act_cfg=None)
        self.lateral_convs = nn.ModuleList(ConvModule(in_channels[i], out_channels, 1, **settings) for i in used)
        self.extra_downsamples = nn.ModuleList(
            nn.Sequential(ConvModule(out_channels, out_channels, 1, **settings), nn.MaxPool2d(2, 2))
            for _ in range(num_outs - len(used))
        )
        self.fpn_stages = nn.ModuleList(make_stage(out_channels, norm_cfg) for _ in range(stack_times))

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """``len(in_channels)`` maps, finest first, to 5 maps ``(N, out_channels, H_i, W_i)``.

        Raises:
            ValueError: another number of inputs than ``in_channels`` has.
        """
        check_inputs('NASFPN', inputs, self.num_ins)
        levels = [conv(inputs[i + self.start_level]) for i, conv in enumerate(self.lateral_convs)]
        for downsample in self.extra_downsamples:
            levels.append(downsample(levels[-1]))
        for stage in self.fpn_stages:
            levels = run_stage(stage, levels)
        return tuple(levels)
