"""Operators behind one face: torchvision's kernels with mmcv's arguments, names and conventions."""

from mmdet.ops.deform_conv import (
    DeformConv2d,
    DeformConv2dPack,
    ModulatedDeformConv2d,
    ModulatedDeformConv2dPack,
    deform_conv2d,
    modulated_deform_conv2d,
)
from mmdet.ops.focal_loss import sigmoid_focal_loss, softmax_focal_loss
from mmdet.ops.nms import batched_nms, nms, nms_match, soft_nms
from mmdet.ops.point_sample import SimpleRoIAlign, points_in_image, read_at_points, read_masks_at_points
from mmdet.ops.roi import RoIAlign, RoIPool, roi_align, roi_pool

__all__ = [
    'DeformConv2d',
    'DeformConv2dPack',
    'ModulatedDeformConv2d',
    'ModulatedDeformConv2dPack',
    'RoIAlign',
    'RoIPool',
    'SimpleRoIAlign',
    'batched_nms',
    'deform_conv2d',
    'modulated_deform_conv2d',
    'nms',
    'nms_match',
    'points_in_image',
    'read_at_points',
    'read_masks_at_points',
    'roi_align',
    'roi_pool',
    'sigmoid_focal_loss',
    'soft_nms',
    'softmax_focal_loss',
]
