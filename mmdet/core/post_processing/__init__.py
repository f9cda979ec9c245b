"""Suppression and merging of detections."""

from mmdet.core.post_processing.bbox_nms import fast_nms, multiclass_nms
from mmdet.core.post_processing.matrix_nms import mask_matrix_nms
from mmdet.core.post_processing.merge_augs import (
    merge_aug_bboxes,
    merge_aug_masks,
    merge_aug_proposals,
    merge_aug_scores,
)

__all__ = [
    'fast_nms',
    'mask_matrix_nms',
    'merge_aug_bboxes',
    'merge_aug_masks',
    'merge_aug_proposals',
    'merge_aug_scores',
    'multiclass_nms',
]
