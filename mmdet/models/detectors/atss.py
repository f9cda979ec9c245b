"""ATSS (https://arxiv.org/abs/1912.02424)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.single_stage import SingleStageDetector


@DETECTORS.register_module()
class ATSS(SingleStageDetector):
    """ATSS; arguments as :class:`SingleStageDetector`."""
