"""Losses: registered classes over plain functions."""

from mmdet.models.losses.accuracy import Accuracy, accuracy
from mmdet.models.losses.ae_loss import AssociativeEmbeddingLoss
from mmdet.models.losses.balanced_l1_loss import BalancedL1Loss, balanced_l1_loss
from mmdet.models.losses.cross_entropy_loss import (
    CrossEntropyLoss,
    binary_cross_entropy,
    cross_entropy,
    mask_cross_entropy,
)
from mmdet.models.losses.dice_loss import DiceLoss
from mmdet.models.losses.focal_loss import FocalLoss, sigmoid_focal_loss
from mmdet.models.losses.gaussian_focal_loss import GaussianFocalLoss
from mmdet.models.losses.gfocal_loss import DistributionFocalLoss, QualityFocalLoss
from mmdet.models.losses.ghm_loss import GHMC, GHMR
from mmdet.models.losses.iou_loss import (
    BoundedIoULoss,
    CIoULoss,
    DIoULoss,
    GIoULoss,
    IoULoss,
    bounded_iou_loss,
    iou_loss,
)
from mmdet.models.losses.kd_loss import KnowledgeDistillationKLDivLoss
from mmdet.models.losses.mse_loss import MSELoss, mse_loss
from mmdet.models.losses.pisa_loss import carl_loss, isr_p
from mmdet.models.losses.seesaw_loss import SeesawLoss
from mmdet.models.losses.smooth_l1_loss import L1Loss, SmoothL1Loss, l1_loss, smooth_l1_loss
from mmdet.models.losses.smoothed_loss import SmoothedLoss
from mmdet.models.losses.utils import reduce_loss, weight_reduce_loss, weighted_loss
from mmdet.models.losses.varifocal_loss import VarifocalLoss

__all__ = [
    'Accuracy',
    'AssociativeEmbeddingLoss',
    'BalancedL1Loss',
    'BoundedIoULoss',
    'CIoULoss',
    'CrossEntropyLoss',
    'DIoULoss',
    'DiceLoss',
    'DistributionFocalLoss',
    'FocalLoss',
    'GHMC',
    'GHMR',
    'GIoULoss',
    'GaussianFocalLoss',
    'IoULoss',
    'KnowledgeDistillationKLDivLoss',
    'L1Loss',
    'MSELoss',
    'QualityFocalLoss',
    'SeesawLoss',
    'SmoothL1Loss',
    'SmoothedLoss',
    'VarifocalLoss',
    'accuracy',
    'balanced_l1_loss',
    'binary_cross_entropy',
    'bounded_iou_loss',
    'carl_loss',
    'cross_entropy',
    'iou_loss',
    'isr_p',
    'l1_loss',
    'mask_cross_entropy',
    'mse_loss',
    'reduce_loss',
    'sigmoid_focal_loss',
    'smooth_l1_loss',
    'weight_reduce_loss',
    'weighted_loss',
]
