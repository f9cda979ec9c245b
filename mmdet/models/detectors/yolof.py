"""YOLOF (https://arxiv.org/abs/2103.09460)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.single_stage import SingleStageDetector


@DETECTORS.register_module()
class YOLOF(SingleStageDetector):
    """YOLOF; arguments as :class:`SingleStageDetector`."""
