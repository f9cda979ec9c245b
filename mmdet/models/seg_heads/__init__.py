"""Heads that segment whole images, and those that join segments and objects to panoptic maps."""

from mmdet.models.seg_heads.base_semantic_head import BaseSemanticHead
from mmdet.models.seg_heads.panoptic_fpn_head import PanopticFPNHead
from mmdet.models.seg_heads.panoptic_fusion_heads import (
    BasePanopticFusionHead,
    HeuristicFusionHead,
    MaskFormerFusionHead,
)

__all__ = [
    'BasePanopticFusionHead',
    'BaseSemanticHead',
    'HeuristicFusionHead',
    'MaskFormerFusionHead',
    'PanopticFPNHead',
]
