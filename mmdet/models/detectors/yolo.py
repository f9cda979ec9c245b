"""YOLOv3 (https://arxiv.org/abs/1804.02767)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.single_stage import SingleStageDetector


@DETECTORS.register_module()
class YOLOV3(SingleStageDetector):
    """YOLOv3; arguments as :class:`SingleStageDetector`."""
