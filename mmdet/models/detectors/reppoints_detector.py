"""RepPoints (https://arxiv.org/abs/1904.11490)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.single_stage import SingleStageDetector


@DETECTORS.register_module()
class RepPointsDetector(SingleStageDetector):
    """RepPoints; arguments as :class:`SingleStageDetector`."""
