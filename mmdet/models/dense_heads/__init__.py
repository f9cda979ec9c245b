"""Heads that predict at every cell of their feature maps."""

from mmdet.models.dense_heads.anchor_free_head import AnchorFreeHead
from mmdet.models.dense_heads.anchor_head import AnchorHead
from mmdet.models.dense_heads.atss_head import ATSSHead
from mmdet.models.dense_heads.autoassign_head import AutoAssignHead
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.dense_heads.cascade_rpn_head import AdaptiveConv, CascadeRPNHead, StageCascadeRPNHead
from mmdet.models.dense_heads.centernet_head import CenterNetHead
from mmdet.models.dense_heads.centripetal_head import CentripetalHead
from mmdet.models.dense_heads.corner_head import CornerHead
from mmdet.models.dense_heads.custom_rpn_head import HeadWithWeightPerImage, RPNHeadWithWeightPerImage
from mmdet.models.dense_heads.deformable_detr_head import DeformableDETRHead
from mmdet.models.dense_heads.dense_test_mixins import BBoxTestMixin
from mmdet.models.dense_heads.detr_head import DETRHead
from mmdet.models.dense_heads.embedding_rpn_head import EmbeddingRPNHead
from mmdet.models.dense_heads.fcos_head import FCOSHead
from mmdet.models.dense_heads.fovea_head import FeatureAlign, FoveaHead
from mmdet.models.dense_heads.free_anchor_retina_head import FreeAnchorRetinaHead
from mmdet.models.dense_heads.fsaf_head import FSAFHead
from mmdet.models.dense_heads.ga_retina_head import GARetinaHead
from mmdet.models.dense_heads.ga_rpn_head import GARPNHead
from mmdet.models.dense_heads.gfl_head import GFLHead, Integral
from mmdet.models.dense_heads.guided_anchor_head import FeatureAdaption, GuidedAnchorHead
from mmdet.models.dense_heads.nasfcos_head import NASFCOSHead
from mmdet.models.dense_heads.pisa_retinanet_head import PISARetinaHead
from mmdet.models.dense_heads.pisa_ssd_head import PISASSDHead
from mmdet.models.dense_heads.reppoints_head import RepPointsHead
from mmdet.models.dense_heads.retina_head import RetinaHead
from mmdet.models.dense_heads.retina_sepbn_head import RetinaSepBNHead
from mmdet.models.dense_heads.rpn_head import RPNHead
from mmdet.models.dense_heads.sabl_retina_head import SABLRetinaHead
from mmdet.models.dense_heads.ssd_head import SSDHead
from mmdet.models.dense_heads.yolo_head import YOLOV3Head
from mmdet.models.dense_heads.yolof_head import YOLOFHead
from mmdet.models.dense_heads.yolox_head import YOLOXHead

__all__ = [
    'RepPointsHead',
    'NASFCOSHead',
    'AutoAssignHead',
    'CentripetalHead',
    'CornerHead',
    'CenterNetHead',
    'YOLOFHead',
    'YOLOV3Head',
    'YOLOXHead',
    'DeformableDETRHead',
    'DETRHead',
    'EmbeddingRPNHead',
    'PISASSDHead',
    'SSDHead',
    'FeatureAlign',
    'FoveaHead',
    'FSAFHead',
    'FreeAnchorRetinaHead',
    'RetinaSepBNHead',
    'SABLRetinaHead',
    'PISARetinaHead',
    'GFLHead',
    'Integral',
    'ATSSHead',
    'FCOSHead',
    'AnchorFreeHead',
    'AdaptiveConv',
    'AnchorHead',
    'BBoxTestMixin',
    'BaseDenseHead',
    'CascadeRPNHead',
    'FeatureAdaption',
    'GARPNHead',
    'GARetinaHead',
    'GuidedAnchorHead',
    'HeadWithWeightPerImage',
    'RPNHead',
    'RPNHeadWithWeightPerImage',
    'RetinaHead',
    'StageCascadeRPNHead',
]
