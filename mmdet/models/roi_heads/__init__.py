"""RoI heads: the second stage of two-stage detectors."""

from mmdet.models.roi_heads.base_roi_head import BaseRoIHead
from mmdet.models.roi_heads.bbox_heads import (
    BBoxHead,
    BBoxHeadWithWeightPerImage,
    ConvFCBBoxHead,
    ConvFCBBoxHeadWithWeightPerImage,
    CustomBBoxHeadWithWeightPerImage,
    DIIHead,
    DoubleConvFCBBoxHead,
    SABLHead,
    SCNetBBoxHead,
    Shared2FCBBoxHead,
    Shared2FCBBoxHeadWithWeightPerImage,
    Shared4Conv1FCBBoxHead,
    Shared4Conv1FCBBoxHeadWithWeightPerImage,
)
from mmdet.models.roi_heads.cascade_roi_head import CascadeRoIHead
from mmdet.models.roi_heads.double_roi_head import DoubleHeadRoIHead
from mmdet.models.roi_heads.dynamic_roi_head import DynamicRoIHead
from mmdet.models.roi_heads.grid_roi_head import GridRoIHead
from mmdet.models.roi_heads.htc_roi_head import HybridTaskCascadeRoIHead
from mmdet.models.roi_heads.keypoint_heads import FCNKeypointHead
from mmdet.models.roi_heads.keypoint_roi_head import KeypointRoIHead
from mmdet.models.roi_heads.mask_heads import (
    CoarseMaskHead,
    DynamicMaskHead,
    FCNMaskHead,
    FeatureRelayHead,
    FusedSemanticHead,
    GlobalContextHead,
    GridHead,
    HTCMaskHead,
    MaskIoUHead,
    MaskPointHead,
    SCNetMaskHead,
    SCNetSemanticHead,
)
from mmdet.models.roi_heads.mask_scoring_roi_head import MaskScoringRoIHead
from mmdet.models.roi_heads.pisa_roi_head import PISARoIHead
from mmdet.models.roi_heads.point_rend_roi_head import PointRendRoIHead
from mmdet.models.roi_heads.roi_extractors import BaseRoIExtractor, GenericRoIExtractor, SingleRoIExtractor
from mmdet.models.roi_heads.scnet_roi_head import SCNetRoIHead
from mmdet.models.roi_heads.shared_heads import ResLayer
from mmdet.models.roi_heads.sparse_roi_head import SparseRoIHead
from mmdet.models.roi_heads.standard_roi_head import StandardRoIHead
from mmdet.models.roi_heads.standard_roi_head_with_extra import StandardRoIHeadWithExtraBBoxHead
from mmdet.models.roi_heads.trident_roi_head import TridentRoIHead

__all__ = [
    'DIIHead',
    'DynamicMaskHead',
    'SparseRoIHead',
    'TridentRoIHead',
    'PointRendRoIHead',
    'MaskPointHead',
    'CoarseMaskHead',
    'SABLHead',
    'PISARoIHead',
    'MaskScoringRoIHead',
    'MaskIoUHead',
    'BBoxHead',
    'BBoxHeadWithWeightPerImage',
    'BaseRoIExtractor',
    'BaseRoIHead',
    'CascadeRoIHead',
    'ConvFCBBoxHead',
    'ConvFCBBoxHeadWithWeightPerImage',
    'CustomBBoxHeadWithWeightPerImage',
    'DoubleConvFCBBoxHead',
    'DoubleHeadRoIHead',
    'DynamicRoIHead',
    'FCNKeypointHead',
    'FCNMaskHead',
    'FeatureRelayHead',
    'FusedSemanticHead',
    'GenericRoIExtractor',
    'GlobalContextHead',
    'GridHead',
    'GridRoIHead',
    'HTCMaskHead',
    'HybridTaskCascadeRoIHead',
    'KeypointRoIHead',
    'ResLayer',
    'SCNetBBoxHead',
    'SCNetMaskHead',
    'SCNetRoIHead',
    'SCNetSemanticHead',
    'Shared2FCBBoxHead',
    'Shared2FCBBoxHeadWithWeightPerImage',
    'Shared4Conv1FCBBoxHead',
    'Shared4Conv1FCBBoxHeadWithWeightPerImage',
    'SingleRoIExtractor',
    'StandardRoIHead',
    'StandardRoIHeadWithExtraBBoxHead',
]
