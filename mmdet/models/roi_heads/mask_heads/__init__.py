"""Mask heads: a mask for each RoI."""

from .coarse_mask_head import CoarseMaskHead
from .dynamic_mask_head import DynamicMaskHead
from .fcn_mask_head import FCNMaskHead
from .feature_relay_head import FeatureRelayHead
from .fused_semantic_head import FusedSemanticHead
from .global_context_head import GlobalContextHead
from .grid_head import GridHead
from .htc_mask_head import HTCMaskHead
from .mask_point_head import MaskPointHead
from .maskiou_head import MaskIoUHead
from .scnet_mask_head import SCNetMaskHead
from .scnet_semantic_head import SCNetSemanticHead
from .soft_target_mask_head import SoftTargetFCNMaskHead

__all__ = [
    'DynamicMaskHead',
    'MaskPointHead',
    'CoarseMaskHead',
    'MaskIoUHead',
    'GridHead',
    'SCNetSemanticHead',
    'SCNetMaskHead',
    'GlobalContextHead',
    'FeatureRelayHead',
    'FusedSemanticHead',
    'HTCMaskHead',
    'FCNMaskHead',
    'SoftTargetFCNMaskHead',
]
