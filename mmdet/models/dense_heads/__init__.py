"""Heads that predict at every cell of their feature maps."""

from mmdet.models.dense_heads.anchor_free_head import AnchorFreeHead
from mmdet.models.dense_heads.anchor_head import AnchorHead
from mmdet.models.dense_heads.ascend_anchor_head import AscendAnchorHead
from mmdet.models.dense_heads.ascend_retina_head import AscendRetinaHead
from mmdet.models.dense_heads.ascend_ssd_head import AscendSSDHead
from mmdet.models.dense_heads.atss_head import ATSSHead
from mmdet.models.dense_heads.autoassign_head import AutoAssignHead
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.dense_heads.base_mask_head import BaseMaskHead
from mmdet.models.dense_heads.cascade_rpn_head import AdaptiveConv, CascadeRPNHead, StageCascadeRPNHead
from mmdet.models.dense_heads.centernet_head import CenterNetHead
from mmdet.models.dense_heads.centripetal_head import CentripetalHead
from mmdet.models.dense_heads.corner_head import CornerHead
from mmdet.models.dense_heads.custom_rpn_head import HeadWithWeightPerImage, RPNHeadWithWeightPerImage
from mmdet.models.dense_heads.ddod_head import DDODHead
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
from mmdet.models.dense_heads.lad_head import LADHead
from mmdet.models.dense_heads.ld_head import LDHead
from mmdet.models.dense_heads.mask2former_head import Mask2FormerHead
from mmdet.models.dense_heads.maskformer_head import MaskFormerHead
from mmdet.models.dense_heads.nasfcos_head import NASFCOSHead
from mmdet.models.dense_heads.paa_head import PAAHead
from mmdet.models.dense_heads.pisa_retinanet_head import PISARetinaHead
from mmdet.models.dense_heads.pisa_ssd_head import PISASSDHead
from mmdet.models.dense_heads.reppoints_head import RepPointsHead
from mmdet.models.dense_heads.retina_head import RetinaHead
from mmdet.models.dense_heads.retina_sepbn_head import RetinaSepBNHead
from mmdet.models.dense_heads.rpn_head import RPNHead
from mmdet.models.dense_heads.sabl_retina_head import SABLRetinaHead
from mmdet.models.dense_heads.solo_head import DecoupledSOLOHead, DecoupledSOLOLightHead, SOLOHead
from mmdet.models.dense_heads.solov2_head import SOLOV2Head
from mmdet.models.dense_heads.ssd_head import SSDHead
from mmdet.models.dense_heads.tood_head import TOODHead
from mmdet.models.dense_heads.vfnet_head import VFNetHead
from mmdet.models.dense_heads.yolact_head import YOLACTHead, YOLACTProtonet, YOLACTSegmHead
from mmdet.models.dense_heads.yolo_head import YOLOV3Head
from mmdet.models.dense_heads.yolof_head import YOLOFHead
from mmdet.models.dense_heads.yolox_head import YOLOXHead

__all__ = [
    'ATSSHead',
    'AdaptiveConv',
    'AnchorFreeHead',
    'AnchorHead',
    'AscendAnchorHead',
    'AscendRetinaHead',
    'AscendSSDHead',
    'AutoAssignHead',
    'BBoxTestMixin',
    'BaseDenseHead',
    'BaseMaskHead',
    'CascadeRPNHead',
    'CenterNetHead',
    'CentripetalHead',
    'CornerHead',
    'DDODHead',
    'DETRHead',
    'DecoupledSOLOHead',
    'DecoupledSOLOLightHead',
    'DeformableDETRHead',
    'EmbeddingRPNHead',
    'FCOSHead',
    'FSAFHead',
    'FeatureAdaption',
    'FeatureAlign',
    'FoveaHead',
    'FreeAnchorRetinaHead',
    'GARPNHead',
    'GARetinaHead',
    'GFLHead',
    'GuidedAnchorHead',
    'HeadWithWeightPerImage',
    'Integral',
    'LADHead',
    'LDHead',
    'Mask2FormerHead',
    'MaskFormerHead',
    'NASFCOSHead',
    'PAAHead',
    'PISARetinaHead',
    'PISASSDHead',
    'RPNHead',
    'RPNHeadWithWeightPerImage',
    'RepPointsHead',
    'RetinaHead',
    'RetinaSepBNHead',
    'SABLRetinaHead',
    'SOLOHead',
    'SOLOV2Head',
    'SSDHead',
    'StageCascadeRPNHead',
    'TOODHead',
    'VFNetHead',
    'YOLACTHead',
    'YOLACTProtonet',
    'YOLACTSegmHead',
    'YOLOFHead',
    'YOLOV3Head',
    'YOLOXHead',
]
