"""RoI heads: the second stage of two-stage detectors."""

from .base_roi_head import BaseRoIHead
from .bbox_heads import (
    BBoxHead,
    BBoxHeadWithWeightPerImage,
    ConvFCBBoxHead,
    ConvFCBBoxHeadWithWeightPerImage,
    CustomBBoxHeadWithWeightPerImage,
    DoubleConvFCBBoxHead,
    Shared2FCBBoxHead,
    Shared2FCBBoxHeadWithWeightPerImage,
    Shared4Conv1FCBBoxHead,
    Shared4Conv1FCBBoxHeadWithWeightPerImage,
)
from .cascade_roi_head import CascadeRoIHead
from .double_roi_head import DoubleHeadRoIHead
from .htc_roi_head import HybridTaskCascadeRoIHead
from .mask_heads import FCNMaskHead
from .roi_extractors import BaseRoIExtractor, GenericRoIExtractor, SingleRoIExtractor
from .scnet_roi_head import SCNetRoIHead
from .shared_heads import ResLayer
from .standard_roi_head import StandardRoIHead
from .standard_roi_head_with_extra import StandardRoIHeadWithExtraBBoxHead

__all__ = [
    'SCNetRoIHead',
    'HybridTaskCascadeRoIHead',
    'CascadeRoIHead',
    'BaseRoIHead',
    'StandardRoIHead',
    'StandardRoIHeadWithExtraBBoxHead',
    'DoubleHeadRoIHead',
    'BBoxHead',
    'ConvFCBBoxHead',
    'Shared2FCBBoxHead',
    'Shared4Conv1FCBBoxHead',
    'DoubleConvFCBBoxHead',
    'CustomBBoxHeadWithWeightPerImage',
    'BBoxHeadWithWeightPerImage',
    'ConvFCBBoxHeadWithWeightPerImage',
    'Shared2FCBBoxHeadWithWeightPerImage',
    'Shared4Conv1FCBBoxHeadWithWeightPerImage',
    'FCNMaskHead',
    'BaseRoIExtractor',
    'SingleRoIExtractor',
    'GenericRoIExtractor',
    'ResLayer',
]
