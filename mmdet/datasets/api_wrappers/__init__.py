"""Faces of pycocotools and of the panoptic metric."""

from .coco_api import COCO, COCOeval

__all__ = ['COCO', 'COCOeval']
