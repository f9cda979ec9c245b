"""Faces of pycocotools and of the panoptic metric."""

from mmdet.datasets.api_wrappers.coco_api import COCO, COCOeval
from mmdet.datasets.api_wrappers.panoptic_api import COCOPanoptic
from mmdet.datasets.api_wrappers.panoptic_evaluation import pq_compute_multi_core, pq_compute_single_core

__all__ = ['COCO', 'COCOPanoptic', 'COCOeval', 'pq_compute_multi_core', 'pq_compute_single_core']
