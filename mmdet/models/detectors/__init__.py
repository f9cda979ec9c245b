"""Whole detectors: backbone, neck and heads put together."""

from mmdet.models.detectors.atss import ATSS
from mmdet.models.detectors.autoassign import AutoAssign
from mmdet.models.detectors.base import BaseDetector
from mmdet.models.detectors.cascade_rcnn import CascadeRCNN
from mmdet.models.detectors.centernet import CenterNet
from mmdet.models.detectors.cornernet import CornerNet
from mmdet.models.detectors.ddod import DDOD
from mmdet.models.detectors.deformable_detr import DeformableDETR
from mmdet.models.detectors.detr import DETR
from mmdet.models.detectors.fast_rcnn import FastRCNN
from mmdet.models.detectors.faster_rcnn import FasterRCNN
from mmdet.models.detectors.fcos import FCOS
from mmdet.models.detectors.fovea import FOVEA
from mmdet.models.detectors.fsaf import FSAF
from mmdet.models.detectors.gfl import GFL
from mmdet.models.detectors.grid_rcnn import GridRCNN
from mmdet.models.detectors.htc import HybridTaskCascade
from mmdet.models.detectors.kd_one_stage import KnowledgeDistillationSingleStageDetector
from mmdet.models.detectors.keypoint_rcnn import KeypointRCNN
from mmdet.models.detectors.lad import LAD
from mmdet.models.detectors.mask2former import Mask2Former
from mmdet.models.detectors.mask_rcnn import MaskRCNN
from mmdet.models.detectors.mask_scoring_rcnn import MaskScoringRCNN
from mmdet.models.detectors.maskformer import MaskFormer
from mmdet.models.detectors.nasfcos import NASFCOS
from mmdet.models.detectors.paa import PAA
from mmdet.models.detectors.panoptic_fpn import PanopticFPN
from mmdet.models.detectors.panoptic_two_stage_segmentor import TwoStagePanopticSegmentor
from mmdet.models.detectors.point_rend import PointRend
from mmdet.models.detectors.queryinst import QueryInst
from mmdet.models.detectors.reppoints_detector import RepPointsDetector
from mmdet.models.detectors.retinanet import RetinaNet
from mmdet.models.detectors.rpn import RPN
from mmdet.models.detectors.scnet import SCNet
from mmdet.models.detectors.single_stage import SingleStageDetector
from mmdet.models.detectors.single_stage_instance_seg import SingleStageInstanceSegmentor
from mmdet.models.detectors.solo import SOLO
from mmdet.models.detectors.solov2 import SOLOv2
from mmdet.models.detectors.sparse_rcnn import SparseRCNN
from mmdet.models.detectors.tood import TOOD
from mmdet.models.detectors.trident_faster_rcnn import TridentFasterRCNN
from mmdet.models.detectors.two_stage import TwoStageDetector
from mmdet.models.detectors.vfnet import VFNet
from mmdet.models.detectors.yolact import YOLACT
from mmdet.models.detectors.yolo import YOLOV3
from mmdet.models.detectors.yolof import YOLOF
from mmdet.models.detectors.yolox import YOLOX

__all__ = [
    'ATSS',
    'AutoAssign',
    'BaseDetector',
    'CascadeRCNN',
    'CenterNet',
    'CornerNet',
    'DDOD',
    'DETR',
    'DeformableDETR',
    'FCOS',
    'FOVEA',
    'FSAF',
    'FastRCNN',
    'FasterRCNN',
    'GFL',
    'GridRCNN',
    'HybridTaskCascade',
    'KeypointRCNN',
    'KnowledgeDistillationSingleStageDetector',
    'LAD',
    'Mask2Former',
    'MaskFormer',
    'MaskRCNN',
    'MaskScoringRCNN',
    'NASFCOS',
    'PAA',
    'PanopticFPN',
    'PointRend',
    'QueryInst',
    'RPN',
    'RepPointsDetector',
    'RetinaNet',
    'SCNet',
    'SOLO',
    'SOLOv2',
    'SingleStageDetector',
    'SingleStageInstanceSegmentor',
    'SparseRCNN',
    'TOOD',
    'TridentFasterRCNN',
    'TwoStageDetector',
    'TwoStagePanopticSegmentor',
    'VFNet',
    'YOLACT',
    'YOLOF',
    'YOLOV3',
    'YOLOX',
]
