"""The public path of the mask containers and of the conversions between them."""

from .base import BaseInstanceMasks
from .bitmap import BitmapMasks
from .conversion import bitmap_to_polygon, polygon_to_bitmap
from .polygon import PolygonMasks

__all__ = ['BaseInstanceMasks', 'BitmapMasks', 'PolygonMasks', 'bitmap_to_polygon', 'polygon_to_bitmap']
