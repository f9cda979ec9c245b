"""RoI feature extractors: from feature maps and RoIs to one small feature map for each RoI."""

from mmdet.models.roi_heads.roi_extractors.base_roi_extractor import BaseRoIExtractor
from mmdet.models.roi_heads.roi_extractors.generic_roi_extractor import GenericRoIExtractor
from mmdet.models.roi_heads.roi_extractors.single_level_roi_extractor import SingleRoIExtractor

__all__ = ['BaseRoIExtractor', 'SingleRoIExtractor', 'GenericRoIExtractor']
