"""VarifocalNet (https://arxiv.org/abs/2008.13367)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.single_stage import SingleStageDetector


@DETECTORS.register_module()
class VFNet(SingleStageDetector):
    """VarifocalNet; arguments as :class:`SingleStageDetector`."""
