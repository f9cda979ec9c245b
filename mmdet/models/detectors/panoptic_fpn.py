"""Panoptic FPN (https://arxiv.org/abs/1901.02446)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.panoptic_two_stage_segmentor import TwoStagePanopticSegmentor


@DETECTORS.register_module()
class PanopticFPN(TwoStagePanopticSegmentor):
    """Panoptic FPN; arguments as :class:`TwoStagePanopticSegmentor`."""
