"""A feature pyramid with learnt upsampling (CARAFE, https://arxiv.org/abs/1905.02188)."""

from mmcv.cnn import ConvModule, build_upsample_layer, xavier_init
from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.models.builder import NECKS
from mmdet.models.necks.levels import check_inputs, used_levels
from mmdet.ops import CARAFEPack
from mmdet.utils.registry import did_you_mean

# Default arguments, never written to.
UPSAMPLE = dict(type='carafe', up_kernel=5, up_group=1, encoder_kernel=3, encoder_dilation=1)

UPSAMPLINGS = ('nearest', 'bilinear', 'deconv', 'pixel_shuffle', 'carafe')


def upsample_layer(cfg: dict, channels: int) -> nn.Module:
    """A layer that doubles height and width.

    Args:
        cfg: ``type`` and the further arguments of that layer; for 'deconv' and 'pixel_shuffle' ``upsample_kernel``,
            the size of their kernel. Type None changes nothing, for levels of equal size.
        channels: channels of the input and the output.
    """
    settings = dict(cfg)
    kind = settings['type']
    if kind is None:
        return nn.Identity()
    if kind == 'deconv':
        kernel = settings.pop('upsample_kernel')
        edge = (kernel - 1) // 2
        settings.update(in_channels=channels, out_channels=channels, kernel_size=kernel)
        settings.update(stride=2, padding=edge, output_padding=edge)
    elif kind == 'pixel_shuffle':
        settings.update(in_channels=channels, out_channels=channels, scale_factor=2)
    elif kind == 'carafe':
        settings.update(channels=channels, scale_factor=2)
    else:
        settings.update(scale_factor=2, align_corners=None if kind == 'nearest' else False)
    return build_upsample_layer(settings)


@NECKS.register_module()
class FPN_CARAFE(BaseModule):
    """FPN whose upsampling is a layer of its own for each level; extra levels take part in the top-down way.

    Args:
        in_channels: channels of each input, finest first.
        out_channels: channels of every output.
        num_outs: number of outputs; those beyond the used inputs are made by strided convolutions.
        start_level: first input used. Default: 0.
        end_level: last input used; -1: the last there is.
        norm_cfg: kind of norm; with one the convolutions have no bias. Default: None.
        act_cfg: kind of activation. Default: None.
        order: order of convolution, norm and activation.
        upsample_cfg: see :func:`upsample_layer`; type 'nearest', 'bilinear', 'deconv', 'pixel_shuffle', 'carafe' or
            None. Default: CARAFE with 5x5 kernels.
        init_cfg: must stay None: the neck initialises itself.

    Raises:
        TypeError: ``in_channels`` is not a list or tuple.
        ValueError: numbers of levels that do not fit, an unknown upsampling, a wrong ``order``, or ``init_cfg``.
    """

    def __init__(
        self,
        in_channels: list[int],
        out_channels: int,
        num_outs: int,
        start_level: int = 0,
        end_level: int = -1,
        norm_cfg: dict | None = None,
        act_cfg: dict | None = None,
        order: tuple[str, ...] = ('conv', 'norm', 'act'),
        upsample_cfg: dict = UPSAMPLE,
        init_cfg: dict | None = None,
    ) -> None:
        if init_cfg is not None:
            raise ValueError(f'FPN_CARAFE initialises itself; init_cfg must be None, got {init_cfg!r}')
        super().__init__(init_cfg)
        used = used_levels(in_channels, num_outs, start_level, end_level)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.num_ins = len(in_channels)
        self.num_outs = num_outs
        self.norm_cfg = norm_cfg
        self.act_cfg = act_cfg
        self.with_bias = norm_cfg is None
        self.upsample_cfg = dict(upsample_cfg)
        self.upsample = self.upsample_cfg.get('type')
        self.order = tuple(order)
        self.start_level = start_level
        self.end_level = end_level
        self.backbone_end_level = used.stop
        self._check_settings()

        settings = dict(norm_cfg=norm_cfg, bias=self.with_bias, act_cfg=act_cfg, inplace=False, order=self.order)
        laterals = [ConvModule(in_channels[i], out_channels, 1, **settings) for i in used]
        width = in_channels[-1]
        for _ in range(num_outs - len(used)):
            laterals.append(ConvModule(width, out_channels, 3, stride=2, padding=1, **settings))
            width = out_channels
        self.relu = nn.ReLU(inplace=False)
        self.lateral_convs = nn.ModuleList(laterals)
        self.fpn_convs = nn.ModuleList(
            ConvModule(out_channels, out_channels, 3, padding=1, **settings) for _ in range(num_outs)
        )
        self.upsample_modules = nn.ModuleList(
            upsample_layer(self.upsample_cfg, out_channels) for _ in range(num_outs - 1)
        )

    def _check_settings(self) -> None:
        """Refuse an unknown upsampling and an order that is none."""
        if self.upsample is not None and self.upsample not in UPSAMPLINGS:
            raise ValueError(
                f'upsample_cfg: type must be None or one of {UPSAMPLINGS}, got {self.upsample!r}'
                f'{did_you_mean(str(self.upsample), UPSAMPLINGS)}'
            )
        if self.upsample in ('deconv', 'pixel_shuffle') and self.upsample_cfg.get('upsample_kernel', 0) < 1:
            raise ValueError(f'upsample_cfg: type {self.upsample!r} needs upsample_kernel, the size of its kernel')
        if sorted(self.order) not in (['act', 'conv', 'norm'], ['act', 'conv']):
            raise ValueError(f"order: expected 'conv', 'norm' and 'act' in any order, got {self.order}")

    def init_weights(self) -> None:
        """Xavier for convolutions; CARAFE layers start as they say themselves."""
        super().init_weights()
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                xavier_init(module, distribution='uniform')
        for module in self.modules():
            if isinstance(module, CARAFEPack):
                module.init_weights()

    def slice_as(self, src: Tensor, dst: Tensor) -> Tensor:
        """The upper left part of ``src`` that has the height and width of ``dst``.

        Raises:
            ValueError: ``src`` is the smaller one.
        """
        height, width = dst.shape[-2:]
        if src.size(2) < height or src.size(3) < width:
            raise ValueError(
                f'FPN_CARAFE: an upsampled level of {tuple(src.shape[-2:])} cells does not cover the finer level of '
                f'{height, width}; each level must have half the size of the one before'
            )
        return src[:, :, :height, :width]

    def tensor_add(self, a: Tensor, b: Tensor) -> Tensor:
        """``a`` plus the part of ``b`` that lies on it."""
        return a + self.slice_as(b, a)

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """``len(in_channels)`` maps, finest first, to ``num_outs`` maps ``(N, out_channels, H_i, W_i)``.

        Raises:
            ValueError: another number of inputs than ``in_channels`` has, or sizes that do not halve.
        """
        check_inputs('FPN_CARAFE', inputs, self.num_ins)
        sources = list(inputs[self.start_level : self.backbone_end_level])
        extra = len(self.lateral_convs) - len(sources)
        if extra:
            sources.append(inputs[-1])
        laterals = [conv(x) for conv, x in zip(self.lateral_convs, sources)]
        for conv in self.lateral_convs[len(laterals) :]:
            laterals.append(conv(laterals[-1]))
        for i in range(len(laterals) - 1, 0, -1):
            laterals[i - 1] = self.tensor_add(laterals[i - 1], self.upsample_modules[i - 1](laterals[i]))
        return tuple(conv(x) for conv, x in zip(self.fpn_convs, laterals))
