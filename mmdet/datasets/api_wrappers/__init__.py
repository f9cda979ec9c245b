"""Faces of pycocotools and of the panoptic metric."""

from .coco_api import COCO, COCOeval
from .panoptic_api import COCOPanoptic
from .panoptic_evaluation import pq_compute_multi_core, pq_compute_single_core

__all__ = ['COCO', 'COCOPanoptic', 'COCOeval', 'pq_compute_multi_core', 'pq_compute_single_core']
