"""Box heads: classes and boxes of each RoI."""

from .bbox_head import BBoxHead
from .convfc_bbox_head import ConvFCBBoxHead, Shared2FCBBoxHead, Shared4Conv1FCBBoxHead
from .custom_bbox_head import (
    BBoxHeadWithWeightPerImage,
    ConvFCBBoxHeadWithWeightPerImage,
    CustomBBoxHeadWithWeightPerImage,
    Shared2FCBBoxHeadWithWeightPerImage,
    Shared4Conv1FCBBoxHeadWithWeightPerImage,
)
from .dii_head import DIIHead, DIIHeadWithWeightPerImage
from .double_bbox_head import DoubleConvFCBBoxHead
from .sabl_head import SABLHead, SABLHeadWithWeightPerImage
from .scnet_bbox_head import SCNetBBoxHead
from .vgg_bbox_head import VGGBBoxHead

__all__ = [
    'DIIHead',
    'DIIHeadWithWeightPerImage',
    'SABLHeadWithWeightPerImage',
    'SABLHead',
    'SCNetBBoxHead',
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
    'VGGBBoxHead',
]
