"""Metrics: mAP, recall, names of classes, and the hooks that evaluate during training."""

from mmdet.core.evaluation.class_names import (
    cityscapes_classes,
    coco_classes,
    dataset_aliases,
    get_classes,
    imagenet_det_classes,
    imagenet_vid_classes,
    objects365v1_classes,
    objects365v2_classes,
    oid_challenge_classes,
    oid_v6_classes,
    voc_classes,
)
from mmdet.core.evaluation.confusion_matrix import confusion_matrix
from mmdet.core.evaluation.eval_hooks import DistEvalHook, EvalHook
from mmdet.core.evaluation.mean_ap import average_precision, eval_map, print_map_summary
from mmdet.core.evaluation.panoptic_utils import INSTANCE_OFFSET
from mmdet.core.evaluation.recall import eval_recalls, plot_iou_recall, plot_num_recall, print_recall_summary

__all__ = [
    'DistEvalHook',
    'EvalHook',
    'INSTANCE_OFFSET',
    'average_precision',
    'cityscapes_classes',
    'coco_classes',
    'confusion_matrix',
    'dataset_aliases',
    'eval_map',
    'eval_recalls',
    'get_classes',
    'imagenet_det_classes',
    'imagenet_vid_classes',
    'objects365v1_classes',
    'objects365v2_classes',
    'oid_challenge_classes',
    'oid_v6_classes',
    'plot_iou_recall',
    'plot_num_recall',
    'print_map_summary',
    'print_recall_summary',
    'voc_classes',
]
