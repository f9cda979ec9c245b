"""Give all levels the same number of channels."""

from mmcv.cnn import ConvModule
from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.models.builder import NECKS

# Default arguments, never written to.
RELU = dict(type='ReLU')
XAVIER = dict(type='Xavier', layer='Conv2d', distribution='uniform')


@NECKS.register_module()
class ChannelMapper(BaseModule):
    """One convolution a level, and strided ones for further levels.

    Args:
        in_channels: channels of each input.
        out_channels: channels of every output.
        kernel_size: of the convolution of each input. Default: 3.
        conv_cfg: kind of convolution. Default: None, ``Conv2d``.
        norm_cfg: kind of norm. Default: None.
        act_cfg: kind of activation. Default: ReLU.
        num_outs: number of outputs; those beyond the inputs are made from the last one by convolutions of stride 2.
            Default: None, as many as inputs.
        init_cfg: initial values. Default: Xavier, uniform.

    Raises:
        TypeError: ``in_channels`` is not a list or tuple.
    """

    def __init__(
        self,
        in_channels: list[int],
        out_channels: int,
        kernel_size: int = 3,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        act_cfg: dict | None = RELU,
        num_outs: int | None = None,
        init_cfg: dict | list[dict] | None = XAVIER,
    ) -> None:
        super().__init__(init_cfg)
        if not isinstance(in_channels, (list, tuple)):
            raise TypeError(f'in_channels: expected a list with one number a level, got {in_channels!r}')
        settings = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.convs = nn.ModuleList(
            ConvModule(c, out_channels, kernel_size, padding=(kernel_size - 1) // 2, **settings) for c in in_channels
        )
        num_extra = 0 if num_outs is None else num_outs - len(in_channels)
        self.extra_convs = None
        if num_extra > 0:
            widths = [in_channels[-1], *[out_channels] * (num_extra - 1)]
            self.extra_convs = nn.ModuleList(
                ConvModule(c, out_channels, 3, stride=2, padding=1, **settings) for c in widths
            )

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Maps ``(N, in_channels[i], H_i, W_i)`` to maps of ``out_channels``.

        Raises:
            ValueError: another number of inputs than ``in_channels`` has.
        """
        if len(inputs) != len(self.convs):
            raise ValueError(f'ChannelMapper: expected {len(self.convs)} inputs, got {len(inputs)}')
        outs = [conv(x) for conv, x in zip(self.convs, inputs)]
        source = inputs[-1]
        for conv in self.extra_convs or ():
            source = conv(source)
            outs.append(source)
        return tuple(outs)
