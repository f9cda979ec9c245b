"""Mask heads: a mask for each RoI."""

from .fcn_mask_head import FCNMaskHead
from .feature_relay_head import FeatureRelayHead
from .fused_semantic_head import FusedSemanticHead
from .global_context_head import GlobalContextHead
from .htc_mask_head import HTCMaskHead
from .scnet_mask_head import SCNetMaskHead
from .scnet_semantic_head import SCNetSemanticHead

__all__ = [
    'SCNetSemanticHead',
    'SCNetMaskHead',
    'GlobalContextHead',
    'FeatureRelayHead',
    'FusedSemanticHead',
    'HTCMaskHead',
    'FCNMaskHead',
]
