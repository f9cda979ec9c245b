"""Probabilistic anchor assignment (https://arxiv.org/abs/2007.08103)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.single_stage import SingleStageDetector


@DETECTORS.register_module()
class PAA(SingleStageDetector):
    """Probabilistic anchor assignment; arguments as :class:`SingleStageDetector`."""
