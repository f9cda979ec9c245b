"""The searched head of NAS-FCOS (https://arxiv.org/abs/1906.04423)."""

from typing import Any

from mmcv.cnn import ConvModule
from torch import nn

from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.fcos_head import FCOSHead

XAVIER = (
    dict(type='Caffe2Xavier', layer=['ConvModule', 'Conv2d']),
    dict(
        type='Normal',
        std=0.01,
        override=[
            dict(name='conv_reg'),
            dict(name='conv_centerness'),
            dict(name='conv_cls', type='Normal', std=0.01, bias_prob=0.01),
        ],
    ),
)


@HEADS.register_module()
class NASFCOSHead(FCOSHead):
    """:class:`FCOSHead` whose towers are a deformable, a plain, a deformable and a 1x1 convolution.

    Args:
        args: arguments of :class:`FCOSHead`.
        init_cfg: initialisation of the weights; None: Xavier values, and small normal ones where predictions are made.
        kwargs: arguments of :class:`FCOSHead`; ``stacked_convs`` has no effect.
    """

    def __init__(self, *args: Any, init_cfg: dict | list | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **dict(init_cfg=list(XAVIER) if init_cfg is None else init_cfg, **kwargs))

    def _init_layers(self) -> None:
        deformable = dict(type='DCNv2', kernel_size=3, use_bias=True, deform_groups=2, padding=1)
        plain = dict(type='Conv', kernel_size=3, padding=1)
        self.arch_config = [deformable, plain, deformable, dict(type='Conv', kernel_size=1)]
        super()._init_layers()

    def _build_tower(self) -> nn.ModuleList:
        layers = nn.ModuleList()
        for i, config in enumerate(self.arch_config):
            config = dict(config)
            settings = dict(padding=config.pop('padding', 0), bias=config.pop('use_bias', False))
            width = self.feat_channels if i else self.in_channels
            kernel = config.pop('kernel_size')
            layers.append(
                ConvModule(width, self.feat_channels, kernel, norm_cfg=self.norm_cfg, conv_cfg=config, **settings)
            )
        return layers
