"""SOLOv2 (https://arxiv.org/abs/2003.10152)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.solo import SOLO


@DETECTORS.register_module()
class SOLOv2(SOLO):
    """SOLOv2; arguments as :class:`SOLO`."""
