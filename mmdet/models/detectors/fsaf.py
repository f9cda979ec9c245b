"""FSAF (https://arxiv.org/abs/1903.00621)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.single_stage import SingleStageDetector


@DETECTORS.register_module()
class FSAF(SingleStageDetector):
    """FSAF; arguments as :class:`SingleStageDetector`."""
