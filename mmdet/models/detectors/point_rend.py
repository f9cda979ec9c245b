"""PointRend (https://arxiv.org/abs/1912.08193)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.faster_rcnn import FasterRCNN


@DETECTORS.register_module()
class PointRend(FasterRCNN):
    """PointRend; arguments as :class:`FasterRCNN`."""
