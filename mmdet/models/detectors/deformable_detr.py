"""Deformable DETR (https://arxiv.org/abs/2010.04159)."""

from typing import Any

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.detr import DETR
from mmdet.models.detectors.single_stage import SingleStageDetector


@DETECTORS.register_module()
class DeformableDETR(DETR):
    """Deformable DETR; arguments as :class:`SingleStageDetector`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        SingleStageDetector.__init__(self, *args, **kwargs)  # DETR's own has no neck
