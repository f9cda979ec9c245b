"""Box heads: classes and boxes of each RoI."""

from mmdet.models.roi_heads.bbox_heads.bbox_head import BBoxHead
from mmdet.models.roi_heads.bbox_heads.convfc_bbox_head import ConvFCBBoxHead, Shared2FCBBoxHead, Shared4Conv1FCBBoxHead
from mmdet.models.roi_heads.bbox_heads.custom_bbox_head import (
    BBoxHeadWithWeightPerImage,
    ConvFCBBoxHeadWithWeightPerImage,
    CustomBBoxHeadWithWeightPerImage,
    Shared2FCBBoxHeadWithWeightPerImage,
    Shared4Conv1FCBBoxHeadWithWeightPerImage,
)
from mmdet.models.roi_heads.bbox_heads.dii_head import DIIHead
from mmdet.models.roi_heads.bbox_heads.double_bbox_head import DoubleConvFCBBoxHead
from mmdet.models.roi_heads.bbox_heads.sabl_head import SABLHead
from mmdet.models.roi_heads.bbox_heads.scnet_bbox_head import SCNetBBoxHead
from mmdet.models.roi_heads.bbox_heads.vgg_bbox_head import VGGBBoxHead

__all__ = [
    'DIIHead',
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
