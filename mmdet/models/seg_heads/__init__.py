"""Heads that segment whole images, and those that join segments and objects to panoptic maps."""

from .base_semantic_head import BaseSemanticHead
from .panoptic_fpn_head import PanopticFPNHead
from .panoptic_fusion_heads import BasePanopticFusionHead, HeuristicFusionHead, MaskFormerFusionHead

__all__ = [
    'BasePanopticFusionHead',
    'BaseSemanticHead',
    'HeuristicFusionHead',
    'MaskFormerFusionHead',
    'PanopticFPNHead',
]
