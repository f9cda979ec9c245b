"""Mask R-CNN (https://arxiv.org/abs/1703.06870)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.faster_rcnn import FasterRCNN


@DETECTORS.register_module()
class MaskRCNN(FasterRCNN):
    """Mask R-CNN; arguments as :class:`FasterRCNN`."""
