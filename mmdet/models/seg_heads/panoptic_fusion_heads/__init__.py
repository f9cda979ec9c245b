"""Heads that make panoptic maps: each pixel holds a class and, for things, the number of the object."""

from .base_panoptic_fusion_head import BasePanopticFusionHead
from .heuristic_fusion_head import HeuristicFusionHead
from .maskformer_fusion_head import MaskFormerFusionHead

__all__ = ['BasePanopticFusionHead', 'HeuristicFusionHead', 'MaskFormerFusionHead']
