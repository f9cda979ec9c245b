"""Pictures of objects on images."""

from mmdet.core.visualization.image import color_val_matplotlib, imshow_det_bboxes, imshow_gt_det_bboxes
from mmdet.core.visualization.palette import get_palette, palette_val
from mmdet.core.visualization.reading import pipeline_of, read_image

__all__ = [
    'color_val_matplotlib',
    'get_palette',
    'imshow_det_bboxes',
    'imshow_gt_det_bboxes',
    'palette_val',
    'pipeline_of',
    'read_image',
]
