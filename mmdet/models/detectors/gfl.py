"""GFL (https://arxiv.org/abs/2006.04388)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.single_stage import SingleStageDetector


@DETECTORS.register_module()
class GFL(SingleStageDetector):
    """GFL; arguments as :class:`SingleStageDetector`."""
