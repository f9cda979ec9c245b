"""Detectors of every family in small, and the batches that they train on."""

import copy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from filling import fill_module, make_batch, random_boxes
from mmcv import Config, ConfigDict
from mmcv.parallel import DataContainer
from torch import nn
from whole_models import deterministic, drop_nothing

from mmdet.core.mask.structures import BitmapMasks
from mmdet.models import build_detector

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
BOXES = ('gt_bboxes', 'gt_labels')
MASKS = (*BOXES, 'gt_masks')
WIDTHS = {
    'in_channels', 'out_channels', 'feat_channels', 'conv_out_channels', 'embed_dims', 'channels',
    'feedforward_channels', 'fc_out_channels', 'num_channels', 'dynamic_in_channels', 'input_feat_shape',
    'fc_channels', 'dynamic_feat_channels', 'in_channel', 'out_channel', 'hidden_channels', 'proposal_feature_channel',
    'point_feat_channels', 'conv_kernel_channels', 'num_feats', 'embed_dim', 'inter_channels', 'fpn_channels',
}  # fmt: skip
NARROW = {256: 32, 1024: 64, 2048: 64, 512: 48, 128: 16}
SCORES = [[r'(fc_cls|cls_embed|class_embed|cls_logits)\.weight$', 3.0], [r'(rpn_cls|retina_cls|conv_cls|_cls)\.weight$', 0.3]]


class Case(NamedTuple):
    """What is trained, on what."""

    config: str  # below configs/
    keys: tuple[str, ...] = BOXES  # of the batch
    model: dict = {}  # noqa: RUF012 - further keys of the model, dots for nested ones
    metas: tuple[dict, dict] = ({}, {})  # of the two images
    size: tuple[int, int] = (96, 128)
    classes: int = 80
    trains: bool = True
    tests: bool = True
    amp: bool = True  # also in mixed precision


FASTER, MASK = 'faster_rcnn/faster_rcnn_r50_fpn_1x_coco.py', 'mask_rcnn/mask_rcnn_r50_fpn_1x_coco.py'
RETINA = 'retinanet/retinanet_r50_fpn_1x_coco.py'
CASCADE = 'cascade_rcnn/cascade_mask_rcnn_r50_fpn_1x_coco.py'
FAMILIES = {
    'faster_rcnn': Case(FASTER),
    'mask_rcnn': Case(MASK, MASKS),
    'faster_rcnn_ignore_regions': Case(FASTER, (*BOXES, 'gt_bboxes_ignore')),
    'cascade_mask_rcnn': Case(CASCADE, MASKS),
    'fast_rcnn': Case('fast_rcnn/fast_rcnn_r50_fpn_1x_coco.py', (*BOXES, 'proposals')),
    'rpn': Case('rpn/rpn_r50_fpn_1x_coco.py', ('gt_bboxes',)),
    'retinanet': Case(RETINA),
    'fcos': Case('fcos/fcos_r50_caffe_fpn_gn-head_1x_coco.py'),
    'atss': Case('atss/atss_r50_fpn_1x_coco.py'),
    'gfl': Case('gfl/gfl_r50_fpn_1x_coco.py'),
    'fovea': Case('foveabox/fovea_r50_fpn_4x4_1x_coco.py'),
    'fovea_align': Case('foveabox/fovea_align_r50_fpn_gn-head_4x4_2x_coco.py'),
    'fsaf': Case('fsaf/fsaf_r50_fpn_1x_coco.py'),
    'free_anchor': Case('free_anchor/retinanet_free_anchor_r50_fpn_1x_coco.py'),
    'ghm': Case('ghm/retinanet_ghm_r50_fpn_1x_coco.py'),
    'pisa_retinanet': Case('pisa/pisa_retinanet_r50_fpn_1x_coco.py'),
    'pisa_faster_rcnn': Case('pisa/pisa_faster_rcnn_r50_fpn_1x_coco.py'),
    'sabl_retinanet': Case('sabl/sabl_retinanet_r50_fpn_1x_coco.py'),
    'sabl_faster_rcnn': Case('sabl/sabl_faster_rcnn_r50_fpn_1x_coco.py'),
    'ga_retinanet': Case('guided_anchoring/ga_retinanet_r50_caffe_fpn_1x_coco.py'),
    'ga_faster_rcnn': Case('guided_anchoring/ga_faster_r50_caffe_fpn_1x_coco.py'),
    'cascade_rpn': Case('cascade_rpn/crpn_r50_caffe_fpn_1x_coco.py', ('gt_bboxes',)),
    'cascade_rpn_faster_rcnn': Case('cascade_rpn/crpn_faster_rcnn_r50_caffe_fpn_1x_coco.py'),
    'libra_rcnn': Case('libra_rcnn/libra_faster_rcnn_r50_fpn_1x_coco.py'),
    'double_heads': Case('double_heads/dh_faster_rcnn_r50_fpn_1x_coco.py'),
    'dynamic_rcnn': Case('dynamic_rcnn/dynamic_rcnn_r50_fpn_1x_coco.py'),
    'grid_rcnn': Case('grid_rcnn/grid_rcnn_r50_fpn_gn-head_1x_coco.py'),
    'groie': Case('groie/faster_rcnn_r50_fpn_groie_1x_coco.py'),
    'ms_rcnn': Case('ms_rcnn/ms_rcnn_r50_fpn_1x_coco.py', MASKS),
    'point_rend': Case('point_rend/point_rend_r50_caffe_fpn_mstrain_1x_coco.py', MASKS),
    'htc': Case('htc/htc_r50_fpn_1x_coco.py', (*MASKS, 'gt_semantic_seg')),
    'scnet': Case('scnet/scnet_r50_fpn_1x_coco.py', (*MASKS, 'gt_semantic_seg')),
    'panoptic_fpn': Case('panoptic_fpn/panoptic_fpn_r50_fpn_1x_coco.py', (*MASKS, 'gt_semantic_seg')),
    'detr': Case('detr/detr_r50_8x2_150e_coco.py'),
    'deformable_detr': Case('deformable_detr/deformable_detr_r50_16x2_50e_coco.py'),
    'sparse_rcnn': Case('sparse_rcnn/sparse_rcnn_r50_fpn_1x_coco.py'),
    'queryinst': Case('queryinst/queryinst_r50_fpn_1x_coco.py', MASKS),
    'keypoint_rcnn': Case('keypoint_rcnn/keypoint_rcnn_r50_fpn_1x_coco.py', (*BOXES, 'gt_keypoints'), classes=1),
    'carafe': Case('carafe/mask_rcnn_r50_fpn_carafe_1x_coco.py', MASKS),
    'seesaw': Case('seesaw_loss/mask_rcnn_r50_fpn_random_seesaw_loss_mstrain_2x_lvis_v1.py', MASKS, classes=1203),
}
