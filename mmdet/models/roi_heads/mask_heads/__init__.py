"""Mask heads: a mask for each RoI."""

from mmdet.models.roi_heads.mask_heads.coarse_mask_head import CoarseMaskHead
from mmdet.models.roi_heads.mask_heads.dynamic_mask_head import DynamicMaskHead
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import FCNMaskHead
from mmdet.models.roi_heads.mask_heads.feature_relay_head import FeatureRelayHead
from mmdet.models.roi_heads.mask_heads.fused_semantic_head import FusedSemanticHead
from mmdet.models.roi_heads.mask_heads.global_context_head import GlobalContextHead
from mmdet.models.roi_heads.mask_heads.grid_head import GridHead
from mmdet.models.roi_heads.mask_heads.htc_mask_head import HTCMaskHead
from mmdet.models.roi_heads.mask_heads.mask_point_head import MaskPointHead
from mmdet.models.roi_heads.mask_heads.maskiou_head import MaskIoUHead
from mmdet.models.roi_heads.mask_heads.scnet_mask_head import SCNetMaskHead
from mmdet.models.roi_heads.mask_heads.scnet_semantic_head import SCNetSemanticHead
from mmdet.models.roi_heads.mask_heads.soft_target_mask_head import SoftTargetFCNMaskHead

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
