"""The public path of the mask containers and of the conversions between them."""

from mmdet.core.mask.base import BaseInstanceMasks
from mmdet.core.mask.bitmap import BitmapMasks
from mmdet.core.mask.conversion import bitmap_to_polygon, polygon_to_bitmap
from mmdet.core.mask.polygon import PolygonMasks

__all__ = ['BaseInstanceMasks', 'BitmapMasks', 'PolygonMasks', 'bitmap_to_polygon', 'polygon_to_bitmap']
