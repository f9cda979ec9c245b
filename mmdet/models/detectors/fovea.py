"""FoveaBox (https://arxiv.org/abs/1904.03797)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.single_stage import SingleStageDetector


@DETECTORS.register_module()
class FOVEA(SingleStageDetector):
    """FoveaBox; arguments as :class:`SingleStageDetector`."""
