"""Mask2Former (https://arxiv.org/abs/2112.01527)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.maskformer import MaskFormer


@DETECTORS.register_module()
class Mask2Former(MaskFormer):
    """:class:`MaskFormer` with ``Mask2FormerHead``."""
