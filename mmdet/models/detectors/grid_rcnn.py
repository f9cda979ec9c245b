"""Grid R-CNN (https://arxiv.org/abs/1811.12030)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.faster_rcnn import FasterRCNN


@DETECTORS.register_module()
class GridRCNN(FasterRCNN):
    """Grid R-CNN; arguments as :class:`FasterRCNN`."""
