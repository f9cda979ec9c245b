"""Keypoints: skeletons, and the way between points and heat maps."""

from mmdet.core.keypoint.heatmaps import (
    DecodedKeypoints,
    decode_heatmaps,
    flip_heatmaps,
    keypoint_targets,
)
from mmdet.core.keypoint.skeletons import COCO_PERSON, SHAPE, SKELETONS, Skeleton, get_skeleton

__all__ = [
    'COCO_PERSON',
    'SHAPE',
    'SKELETONS',
    'DecodedKeypoints',
    'Skeleton',
    'decode_heatmaps',
    'flip_heatmaps',
    'get_skeleton',
    'keypoint_targets',
]
