"""ResNet of DetectoRS (https://arxiv.org/abs/2006.02334): switchable atrous convolution, and features fed back."""

from typing import Any

from mmcv.cnn import build_conv_layer, constant_init
from mmcv.runner import BaseModule
from torch import Tensor

from mmdet.models.backbones.layers.resnet_blocks import Bottleneck as ResNetBottleneck
from mmdet.models.backbones.resnet import ResNet
from mmdet.models.builder import BACKBONES
from mmdet.models.options.fold_norm import norm_after_conv
from mmdet.models.utils.res_layer import ResLayer as PlainResLayer
from mmdet.models.utils.weights import pretrained_path, run_block

# Default arguments, never written to.
BATCH_NORM = dict(type='BN')


class Bottleneck(ResNetBottleneck):
    """A bottleneck with a switchable 3x3 convolution, and with room for features that are fed back.

    Args:
        inplanes: channels of the input.
        planes: a quarter of the channels of the output.
        rfp_inplanes: channels of what is fed back. Default: None, nothing is.
        sac: config of the 3x3 convolution, such as ``dict(type='SAC', use_deform=True)``. Default: None.
        init_cfg, kwargs: as of ResNet's bottleneck.

    Raises:
        ValueError: ``sac`` beside ``dcn``, and what ResNet's bottleneck refuses.
    """

    def __init__(
        self,
        inplanes: int,
        planes: int,
        rfp_inplanes: int | None = None,
        sac: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
        **kwargs: Any,
    ) -> None:
        if sac is not None and kwargs.get('dcn') is not None:
            raise ValueError('sac and dcn both choose the 3x3 convolution; keep one')
        self.sac = sac  # before the parent's constructor, which builds the convolutions
        self.with_sac = sac is not None
        super().__init__(inplanes, planes, init_cfg=init_cfg, **kwargs)
        self.rfp_conv = None
        self.rfp_inplanes = None
        if rfp_inplanes is not None:
            self.add_rfp_conv(rfp_inplanes)

    def _middle_conv_cfg(self) -> dict | None:
        """The kind of the 3x3 convolution: ``sac``, where there is one."""
        return super()._middle_conv_cfg() if self.sac is None else self.sac

    def add_rfp_conv(self, rfp_inplanes: int) -> None:
        """Make room for features of ``rfp_inplanes`` channels; they are added with weight zero at first."""
        self.rfp_inplanes = rfp_inplanes
        self.rfp_conv = build_conv_layer(None, rfp_inplanes, self.planes * self.expansion, 1)
        constant_init(self.rfp_conv, 0)

    def init_weights(self) -> None:
        """Initial values as ``init_cfg`` says; fed back features have no weight at first."""
        super().init_weights()
        if self.rfp_conv is not None:
            constant_init(self.rfp_conv, 0)

    def rfp_forward(self, x: Tensor, rfp_feat: Tensor | None) -> Tensor:
        """As ``forward``, with features added to the sum of both paths.

        Args:
            x: (N, inplanes, H, W).
            rfp_feat: (N, rfp_inplanes, H / stride, W / stride); not looked at where the block has no room for it.

        Returns:
            (N, 4 * planes, H / stride, W / stride).
        """
        out = run_block(self._sum_of_paths, x, self.with_cp)
        if self.rfp_conv is not None:
            out = out + self.rfp_conv(rfp_feat)
        return self.relu(out)


class ResLayer(PlainResLayer):
    """Blocks in a row; the first changes resolution and width, and has room for what is fed back.

    Args:
        block, inplanes, planes, num_blocks, stride, avg_down, conv_cfg, norm_cfg, kwargs: as of the plain stage.
        downsample_first: must be True.
        rfp_inplanes: channels of what is fed back. Default: None, nothing is.

    Raises:
        ValueError: ``downsample_first`` is False.
    """

    def __init__(
        self,
        block: type[BaseModule],
        inplanes: int,
        planes: int,
        num_blocks: int,
        stride: int = 1,
        avg_down: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        downsample_first: bool = True,
        rfp_inplanes: int | None = None,
        **kwargs: Any,
    ) -> None:
        if not downsample_first:
            raise ValueError('downsample_first: a stage of DetectoRS changes width in its first block, not in the last')
        super().__init__(block, inplanes, planes, num_blocks, stride, avg_down, conv_cfg, norm_cfg, **kwargs)
        if rfp_inplanes is not None:
            self[0].add_rfp_conv(rfp_inplanes)


@BACKBONES.register_module()
class DetectoRS_ResNet(ResNet):
    """ResNet with switchable atrous convolution, and with room for the outputs of a recursive pyramid.

    Both are without effect at first: a checkpoint of a ResNet, which lacks them, gives a ResNet.

    Args:
        sac: config of the 3x3 convolutions, such as ``dict(type='SAC', use_deform=True)``. Default: None.
        stage_with_sac: which stages have it.
        rfp_inplanes: channels of what is fed back to all stages but the first. Default: None, nothing is.
        output_img: the image is the first output, as the neck ``RFP`` needs it. Default: False.
        pretrained: deprecated form of ``init_cfg=dict(type='Pretrained', checkpoint=...)``.
        init_cfg: initial values. Default: None, Kaiming.
        kwargs: as of ``ResNet``; the depth is 50, 101 or 152.

    Raises:
        ValueError: ``stage_with_sac`` has another length than ``num_stages``; and what ``ResNet`` refuses.
    """

    arch_settings = {
        50: (Bottleneck, (3, 4, 6, 3)),
        101: (Bottleneck, (3, 4, 23, 3)),
        152: (Bottleneck, (3, 8, 36, 3)),
    }

    def __init__(
        self,
        sac: dict | None = None,
        stage_with_sac: tuple[bool, ...] = (False, False, False, False),
        rfp_inplanes: int | None = None,
        output_img: bool = False,
        pretrained: str | None = None,
        init_cfg: dict | list[dict] | None = None,
        **kwargs: Any,
    ) -> None:
        self.sac = sac  # before the parent's constructor, which builds the stages
        self.stage_with_sac = stage_with_sac
        self.rfp_inplanes = rfp_inplanes
        self.output_img = output_img
        super().__init__(pretrained=pretrained, init_cfg=init_cfg, **kwargs)
        self.pretrained = pretrained_path(self.init_cfg)

    def _check_settings(self, max_stages: int) -> None:
        super()._check_settings(max_stages)
        if self.sac is not None and len(self.stage_with_sac) != self.num_stages:
            raise ValueError(
                f'stage_with_sac: expected num_stages={self.num_stages} entries, got {self.stage_with_sac}'
            )

    def _stage_settings(self, i: int) -> dict[str, Any]:
        return dict(
            super()._stage_settings(i),
            sac=self.sac if self.sac is not None and self.stage_with_sac[i] else None,
            rfp_inplanes=self.rfp_inplanes if i > 0 else None,
        )

    def make_res_layer(self, **kwargs: Any) -> ResLayer:
        """Build one stage."""
        return ResLayer(**kwargs)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Images ``(N, in_channels, H, W)`` to the outputs of ``ResNet``, behind the images with ``output_img``."""
        outs = super().forward(x)
        return (x, *outs) if self.output_img else outs

    def rfp_forward(self, x: Tensor, rfp_feats: list[Tensor]) -> tuple[Tensor, ...]:
        """As ``ResNet.forward``, with features added in the first block of each stage but the first.

        Args:
            x: images (N, in_channels, H, W).
            rfp_feats: what is fed back, one (N, rfp_inplanes, H_i, W_i) a stage, of the size of its output. The first
                is not looked at.

        Raises:
            ValueError: fewer features than stages.
        """
        if len(rfp_feats) < self.num_stages:
            raise ValueError(f'rfp_feats: expected one a stage, {self.num_stages}, got {len(rfp_feats)}')
        x = self.stem(x) if self.deep_stem else self.relu(norm_after_conv(self.conv1, self.norm1, x))
        x = self.maxpool(x)
        outs = []
        for i, name in enumerate(self.res_layers):
            for block in getattr(self, name):
                x = block.rfp_forward(x, rfp_feats[i])
            if i in self.out_indices:
                outs.append(x)
        return tuple(outs)
