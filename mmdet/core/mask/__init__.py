"""Masks of instances: containers, conversions and training targets."""

from mmdet.core.mask.mask_target import mask_target
from mmdet.core.mask.structures import BaseInstanceMasks, BitmapMasks, PolygonMasks
from mmdet.core.mask.utils import encode_mask_results, mask2bbox, split_combined_polys

__all__ = [
    'BaseInstanceMasks',
    'BitmapMasks',
    'PolygonMasks',
    'encode_mask_results',
    'mask2bbox',
    'mask_target',
    'split_combined_polys',
]
