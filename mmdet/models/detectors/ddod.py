"""Disentangled dense object detection (https://arxiv.org/abs/2107.02963)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.single_stage import SingleStageDetector


@DETECTORS.register_module()
class DDOD(SingleStageDetector):
    """Disentangled dense object detection; arguments as :class:`SingleStageDetector`."""
