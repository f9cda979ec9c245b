"""The searched pyramid of NAS-FCOS (https://arxiv.org/abs/1906.04423)."""

from mmcv.cnn import ConvModule, caffe2_xavier_init
from mmcv.runner import BaseModule
from torch import Tensor, nn
from torch.nn import functional

from mmdet.models.builder import NECKS
from mmdet.models.necks.levels import used_levels
from mmdet.ops import ConcatCell

# Which maps a cell joins: digits of its name, counting the inputs and then the cells. In the order of the cells; with
# them, whether the second map is convolved, as the first always is.
CELLS = dict(c22_1=True, c22_2=True, c32=False, c02=False, c42=True, c36=True, c61=True)
NUM_INPUTS = 3
GLOBAL_MAP, OUTPUTS = 5, (9, 8, 7)  # added to all outputs; finest first


@NECKS.register_module()
class NASFCOS_FPN(BaseModule):
    """Seven cells, each of which joins two maps; the last three are the outputs.

    Args:
        in_channels: channels of each input.
        out_channels: channels of every output.
        num_outs: number of outputs; those beyond the inputs in use are made from the last by strided convolutions.
        start_level: first input used; three must be in use.
        end_level: last input used; -1: the last there is.
        add_extra_convs: kept for old configs.
        conv_cfg: kind of the cells' convolutions. Default: None, ``Conv2d``.
        norm_cfg: their norm. Default: None.
        init_cfg: initial values. Default: None.

    Raises:
        ValueError: levels that do not fit.
    """

    def __init__(
        self,
        in_channels: list[int],
        out_channels: int,
        num_outs: int,
        start_level: int = 1,
        end_level: int = -1,
        add_extra_convs: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        levels = used_levels(in_channels, num_outs, start_level, end_level)
        if len(levels) != NUM_INPUTS:
            raise ValueError(f'NASFCOS_FPN: its cells join {NUM_INPUTS} inputs, but {len(levels)} are in use')
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.num_ins = len(in_channels)
        self.num_outs = num_outs
        self.norm_cfg = norm_cfg
        self.conv_cfg = conv_cfg
        self.backbone_end_level = levels.stop
        self.start_level = start_level
        self.end_level = end_level
        self.add_extra_convs = add_extra_convs
        norm, relu = dict(type='BN'), dict(type='ReLU', inplace=False)
        self.adapt_convs = nn.ModuleList(
            ConvModule(in_channels[i], out_channels, 1, bias=False, norm_cfg=norm, act_cfg=relu) for i in levels
        )
        self.fpn = nn.ModuleDict({name: self._cell(with_second) for name, with_second in CELLS.items()})
        self.extra_downsamples = nn.ModuleList(
            ConvModule(
                out_channels, out_channels, 3, stride=2, padding=1, act_cfg=relu if i else None,
                order=('act', 'norm', 'conv'),
            )
            for i in range(num_outs - len(levels))
        )  # fmt: skip

    def _cell(self, with_second: bool) -> ConcatCell:
        return ConcatCell(
            self.out_channels,
            self.out_channels,
            out_conv_cfg=dict(kernel_size=1, padding=0, bias=False, groups=self.out_channels),
            out_norm_cfg=dict(type='BN'),
            out_conv_order=('norm', 'act', 'conv'),
            with_input1_conv=True,
            with_input2_conv=with_second,
            input_conv_cfg=self.conv_cfg,
            input_norm_cfg=self.norm_cfg,
        )

    def init_weights(self) -> None:
        """Xavier values of the plain convolutions."""
        super().init_weights()
        for layer in (*self.adapt_convs.modules(), *self.extra_downsamples.modules()):
            if isinstance(layer, nn.Conv2d):
                caffe2_xavier_init(layer)

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """``len(in_channels)`` maps, finest first, to ``num_outs`` maps of the sizes of the inputs in use."""
        used = inputs[self.start_level : self.backbone_end_level]
        feats = [conv(x) for conv, x in zip(self.adapt_convs, used)]
        for name, cell in self.fpn.items():
            feats.append(cell(feats[int(name[1])], feats[int(name[2])]))
        outs = []
        for number, x in zip(OUTPUTS, used):
            out = feats[number] + resize(feats[GLOBAL_MAP], feats[number])
            outs.append(resize(out, x))
        for conv in self.extra_downsamples:
            outs.append(conv(outs[-1]))
        return tuple(outs)


def resize(x: Tensor, like: Tensor) -> Tensor:
    """A map (N, C, H, W) at the size of another, bilinear."""
    return functional.interpolate(x, size=like.shape[-2:], mode='bilinear', align_corners=False)
