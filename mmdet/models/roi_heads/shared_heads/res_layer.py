"""The last stage of a ResNet as a RoI head's shared part (the "C4" models of https://arxiv.org/abs/1512.03385)."""

from mmcv.runner import BaseModule
from torch import Tensor

from mmdet.models.backbones.resnet import ResNet, scratch_init_cfg
from mmdet.models.builder import SHARED_HEADS
from mmdet.models.utils.res_layer import ResLayer as _ResLayer
from mmdet.models.utils.weights import PartlyFrozen, resolve_init_cfg

# Default arguments, never written to.
BATCH_NORM = dict(type='BN', requires_grad=True)


@SHARED_HEADS.register_module()
class ResLayer(PartlyFrozen, BaseModule):
    """Stage ``stage`` of a ResNet, applied to RoI features.

    Args:
        depth: of the ResNet: 18, 34, 50, 101 or 152.
        stage: number of the stage, from 0; its child is called ``layer{stage + 1}``. Default: 3.
        stride: of the stage. Default: 2.
        dilation: of the stage's 3x3 convolutions. Default: 1.
        style: 'pytorch' or 'caffe', as the backbone's.
        norm_cfg: kind of norm.
        norm_eval: batch statistics stay as they are in training. Default: True.
        with_cp: recompute activations in the backward pass. Default: False.
        dcn: kind of deformable convolution. Default: None.
        pretrained: deprecated form of ``init_cfg=dict(type='Pretrained', checkpoint=...)``.
        init_cfg: initial values. Default: None, Kaiming.

    Raises:
        KeyError: the depth is unknown.
        ValueError: the ResNet has no such stage.
    """

    def __init__(
        self,
        depth: int,
        stage: int = 3,
        stride: int = 2,
        dilation: int = 1,
        style: str = 'pytorch',
        norm_cfg: dict = BATCH_NORM,
        norm_eval: bool = True,
        with_cp: bool = False,
        dcn: dict | None = None,
        pretrained: str | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(resolve_init_cfg(init_cfg, pretrained, scratch_init_cfg()))
        if depth not in ResNet.arch_settings:
            raise KeyError(f'a shared ResLayer knows the depths {sorted(ResNet.arch_settings)}, not {depth}')
        block, stage_blocks = ResNet.arch_settings[depth]
        if not 1 <= stage < len(stage_blocks):
            raise ValueError(f'stage: expected 1 to {len(stage_blocks) - 1}, got {stage}')
        self.norm_eval = norm_eval
        self.norm_cfg = norm_cfg
        self.stage = stage
        planes = 64 * 2**stage
        layer = _ResLayer(
            block,
            inplanes=planes // 2 * block.expansion,
            planes=planes,
            num_blocks=stage_blocks[stage],
            stride=stride,
            dilation=dilation,
            style=style,
            with_cp=with_cp,
            norm_cfg=norm_cfg,
            dcn=dcn,
        )
        self.add_module(f'layer{stage + 1}', layer)

    def forward(self, x: Tensor) -> Tensor:
        """RoI features ``(M, C, h, w)`` to ``(M, 2 * C, h / stride, w / stride)``."""
        return getattr(self, f'layer{self.stage + 1}')(x)
