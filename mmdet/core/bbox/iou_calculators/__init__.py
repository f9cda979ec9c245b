"""Overlaps of boxes."""

from mmdet.core.bbox.iou_calculators.builder import build_iou_calculator
from mmdet.core.bbox.iou_calculators.iou2d_calculator import BboxOverlaps2D, bbox_overlaps

__all__ = ['BboxOverlaps2D', 'bbox_overlaps', 'build_iou_calculator']
