"""Box coders: boxes to regression targets and back."""

from mmdet.core.bbox.coder.base_bbox_coder import BaseBBoxCoder
from mmdet.core.bbox.coder.bucketing_bbox_coder import BucketingBBoxCoder
from mmdet.core.bbox.coder.delta_xywh_bbox_coder import DeltaXYWHBBoxCoder
from mmdet.core.bbox.coder.distance_point_bbox_coder import DistancePointBBoxCoder
from mmdet.core.bbox.coder.legacy_delta_xywh_bbox_coder import LegacyDeltaXYWHBBoxCoder
from mmdet.core.bbox.coder.pseudo_bbox_coder import PseudoBBoxCoder
from mmdet.core.bbox.coder.tblr_bbox_coder import TBLRBBoxCoder
from mmdet.core.bbox.coder.yolo_bbox_coder import YOLOBBoxCoder

__all__ = [
    'BaseBBoxCoder',
    'BucketingBBoxCoder',
    'DeltaXYWHBBoxCoder',
    'DistancePointBBoxCoder',
    'LegacyDeltaXYWHBBoxCoder',
    'PseudoBBoxCoder',
    'TBLRBBoxCoder',
    'YOLOBBoxCoder',
]
