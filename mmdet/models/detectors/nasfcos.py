"""NAS-FCOS (https://arxiv.org/abs/1906.04423)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.single_stage import SingleStageDetector


@DETECTORS.register_module()
class NASFCOS(SingleStageDetector):
    """NAS-FCOS; arguments as :class:`SingleStageDetector`."""
