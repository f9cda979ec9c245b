"""RoI heads: the second stage of two-stage detectors."""

from .base_roi_head import BaseRoIHead
from .bbox_heads import (
    BBoxHead,
    BBoxHeadWithWeightPerImage,
    ConvFCBBoxHead,
    ConvFCBBoxHeadWithWeightPerImage,
    CustomBBoxHeadWithWeightPerImage,
    DIIHead,
    DIIHeadWithWeightPerImage,
    DoubleConvFCBBoxHead,
    SABLHead,
    SABLHeadWithWeightPerImage,
    SCNetBBoxHead,
    Shared2FCBBoxHead,
    Shared2FCBBoxHeadWithWeightPerImage,
    Shared4Conv1FCBBoxHead,
    Shared4Conv1FCBBoxHeadWithWeightPerImage,
)
from .cascade_roi_head import CascadeRoIHead
from .double_roi_head import DoubleHeadRoIHead
from .dynamic_roi_head import DynamicRoIHead
from .grid_roi_head import GridRoIHead
from .htc_roi_head import HybridTaskCascadeRoIHead
from .keypoint_heads import FCNKeypointHead
from .keypoint_roi_head import KeypointRoIHead
from .mask_heads import (
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
from .mask_scoring_roi_head import MaskScoringRoIHead
from .pisa_roi_head import PISARoIHead
from .point_rend_roi_head import PointRendRoIHead
from .roi_extractors import BaseRoIExtractor, GenericRoIExtractor, SingleRoIExtractor
from .scnet_roi_head import SCNetRoIHead
from .shared_heads import ResLayer
from .sparse_roi_head import SparseRoIHead
from .standard_roi_head import StandardRoIHead
from .standard_roi_head_with_extra import StandardRoIHeadWithExtraBBoxHead
from .trident_roi_head import TridentRoIHead

__all__ = [
    'DIIHead',
    'DIIHeadWithWeightPerImage',
    'DynamicMaskHead',
    'SparseRoIHead',
    'TridentRoIHead',
    'PointRendRoIHead',
    'MaskPointHead',
    'CoarseMaskHead',
    'SABLHeadWithWeightPerImage',
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
