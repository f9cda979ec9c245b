"""The neck of CenterNet (https://arxiv.org/abs/1904.07850): transposed convolutions make the last map larger."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule, constant_init
from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.models.builder import NECKS


def bilinear_kernel(size: Sequence[int]) -> Tensor:
    """(h, w) kernel of a transposed convolution of stride 2 that interpolates linearly."""
    sides = []
    for side in size:
        half = -(-side // 2)
        centre = (2 * half - 1 - half % 2) / (2 * half)
        sides.append(1 - (torch.arange(side) / half - centre).abs())
    return sides[0][:, None] * sides[1]


@NECKS.register_module()
class CTResNetNeck(BaseModule):
    """Pairs of a 3x3 convolution and a transposed one that doubles the sides.

    Args:
        in_channel: channels of the last input.
        num_deconv_filters: channels of each pair.
        num_deconv_kernels: kernel size of each transposed convolution.
        use_dcn: the 3x3 convolutions are modulated deformable ones. Default: True.
        init_cfg: initial values. Default: None.

    Raises:
        ValueError: there is not one kernel size a pair.
    """

    def __init__(
        self,
        in_channel: int,
        num_deconv_filters: Sequence[int],
        num_deconv_kernels: Sequence[int],
        use_dcn: bool = True,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if len(num_deconv_filters) != len(num_deconv_kernels):
            raise ValueError(
                f'CTResNetNeck: {len(num_deconv_filters)} num_deconv_filters, but {len(num_deconv_kernels)} '
                'num_deconv_kernels'
            )
        self.use_dcn = use_dcn
        self.in_channel = in_channel
        self.deconv_layers = self._make_deconv_layer(num_deconv_filters, num_deconv_kernels)

    def _make_deconv_layer(self, num_deconv_filters: Sequence[int], num_deconv_kernels: Sequence[int]) -> nn.Sequential:
        layers, norm = [], dict(type='BN')
        kind = dict(type='DCNv2') if self.use_dcn else None
        widths = [self.in_channel, *num_deconv_filters]
        for narrow, wide, kernel in zip(widths, widths[1:], num_deconv_kernels):
            layers.append(ConvModule(narrow, wide, 3, padding=1, conv_cfg=kind, norm_cfg=norm))
            deconv = dict(type='deconv')
            layers.append(ConvModule(wide, wide, kernel, stride=2, padding=1, conv_cfg=deconv, norm_cfg=norm))
        return nn.Sequential(*layers)

    def init_weights(self) -> None:
        """Torch's own values; the first kernel of each channel of a transposed convolution interpolates."""
        for layer in self.modules():
            if isinstance(layer, nn.ConvTranspose2d):
                layer.reset_parameters()
                layer.weight.data[:, 0] = bilinear_kernel(layer.weight.shape[2:])
            elif isinstance(layer, nn.BatchNorm2d):
                constant_init(layer, 1)
            elif not self.use_dcn and isinstance(layer, nn.Conv2d):
                layer.reset_parameters()

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor]:
        """The last of the maps to a tuple with one map, twice as large for each pair."""
        return (self.deconv_layers(inputs[-1]),)
