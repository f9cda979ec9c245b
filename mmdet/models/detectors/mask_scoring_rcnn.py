"""Mask Scoring R-CNN (https://arxiv.org/abs/1903.00241)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.faster_rcnn import FasterRCNN


@DETECTORS.register_module()
class MaskScoringRCNN(FasterRCNN):
    """Mask Scoring R-CNN; arguments as :class:`FasterRCNN`."""
