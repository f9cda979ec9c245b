"""AutoAssign (https://arxiv.org/abs/2007.03496)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.single_stage import SingleStageDetector


@DETECTORS.register_module()
class AutoAssign(SingleStageDetector):
    """AutoAssign; arguments as :class:`SingleStageDetector`."""
