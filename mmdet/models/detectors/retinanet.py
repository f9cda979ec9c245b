"""RetinaNet (https://arxiv.org/abs/1708.02002)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.single_stage import SingleStageDetector


@DETECTORS.register_module()
class RetinaNet(SingleStageDetector):
    """RetinaNet; arguments as :class:`SingleStageDetector`."""
