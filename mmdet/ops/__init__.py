"""Operators behind one face: torchvision's kernels with mmcv's arguments, names and conventions."""

from mmdet.ops.carafe import CARAFE, CARAFEPack, carafe
from mmdet.ops.corner_pool import CornerPool, corner_pool
from mmdet.ops.deform_conv import (
    DeformConv2d,
    DeformConv2dPack,
    ModulatedDeformConv2d,
    ModulatedDeformConv2dPack,
    deform_conv2d,
    modulated_deform_conv2d,
)
from mmdet.ops.deform_roi_pool import (
    DeformRoIPool,
    DeformRoIPoolPack,
    ModulatedDeformRoIPoolPack,
    deform_roi_pool,
)
from mmdet.ops.focal_loss import SigmoidFocalLoss, SoftmaxFocalLoss, sigmoid_focal_loss, softmax_focal_loss
from mmdet.ops.masked_conv import MaskedConv2d, masked_conv2d
from mmdet.ops.merge_cells import BaseMergeCell, ConcatCell, GlobalPoolingCell, SumCell
from mmdet.ops.multi_scale_deform_attn import MultiScaleDeformableAttention, multi_scale_deformable_attn
from mmdet.ops.nms import batched_nms, nms, nms_match, soft_nms
from mmdet.ops.point_sample import SimpleRoIAlign, points_in_image, read_at_points, read_masks_at_points
from mmdet.ops.roi import RoIAlign, RoIPool, roi_align, roi_pool
from mmdet.ops.rotated import box_iou_rotated, nms_rotated
from mmdet.ops.rotated_features import RoIAlignRotated
from mmdet.ops.saconv import SAConv2d
from mmdet.ops.swish import Swish
from mmdet.ops.sync_bn import MMSyncBN

__all__ = [
    'BaseMergeCell',
    'CARAFE',
    'CARAFEPack',
    'ConcatCell',
    'CornerPool',
    'DeformConv2d',
    'DeformConv2dPack',
    'DeformRoIPool',
    'DeformRoIPoolPack',
    'GlobalPoolingCell',
    'MMSyncBN',
    'MaskedConv2d',
    'ModulatedDeformConv2d',
    'ModulatedDeformConv2dPack',
    'ModulatedDeformRoIPoolPack',
    'MultiScaleDeformableAttention',
    'RoIAlign',
    'RoIAlignRotated',
    'RoIPool',
    'SAConv2d',
    'SigmoidFocalLoss',
    'SimpleRoIAlign',
    'SoftmaxFocalLoss',
    'SumCell',
    'Swish',
    'batched_nms',
    'box_iou_rotated',
    'carafe',
    'corner_pool',
    'deform_conv2d',
    'deform_roi_pool',
    'masked_conv2d',
    'modulated_deform_conv2d',
    'multi_scale_deformable_attn',
    'nms',
    'nms_match',
    'nms_rotated',
    'points_in_image',
    'read_at_points',
    'read_masks_at_points',
    'roi_align',
    'roi_pool',
    'sigmoid_focal_loss',
    'soft_nms',
    'softmax_focal_loss',
]
