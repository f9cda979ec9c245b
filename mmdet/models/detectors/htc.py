"""Hybrid Task Cascade (https://arxiv.org/abs/1901.07518)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.cascade_rcnn import CascadeRCNN


@DETECTORS.register_module()
class HybridTaskCascade(CascadeRCNN):
    """Hybrid Task Cascade; arguments as :class:`CascadeRCNN`."""

    @property
    def with_semantic(self) -> bool:
        """Whether there is a semantic segmentation branch."""
        return self.roi_head.with_semantic
