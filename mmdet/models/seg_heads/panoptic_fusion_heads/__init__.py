"""Heads that make panoptic maps: each pixel holds a class and, for things, the number of the object."""

from mmdet.models.seg_heads.panoptic_fusion_heads.base_panoptic_fusion_head import BasePanopticFusionHead
from mmdet.models.seg_heads.panoptic_fusion_heads.heuristic_fusion_head import HeuristicFusionHead
from mmdet.models.seg_heads.panoptic_fusion_heads.maskformer_fusion_head import MaskFormerFusionHead

__all__ = ['BasePanopticFusionHead', 'HeuristicFusionHead', 'MaskFormerFusionHead']
