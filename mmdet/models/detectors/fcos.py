"""FCOS (https://arxiv.org/abs/1904.01355)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.single_stage import SingleStageDetector


@DETECTORS.register_module()
class FCOS(SingleStageDetector):
    """FCOS; arguments as :class:`SingleStageDetector`."""
