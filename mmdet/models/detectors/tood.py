"""TOOD: task-aligned one-stage detection (https://arxiv.org/abs/2108.07755)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.single_stage import SingleStageDetector


@DETECTORS.register_module()
class TOOD(SingleStageDetector):
    """TOOD; arguments as :class:`SingleStageDetector`."""

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch it is, counted from 0: after some, the head assigns by its own predictions."""
        self.bbox_head.epoch = epoch
