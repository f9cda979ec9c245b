"""SCNet (https://arxiv.org/abs/2012.10150)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.cascade_rcnn import CascadeRCNN


@DETECTORS.register_module()
class SCNet(CascadeRCNN):
    """SCNet; arguments as :class:`CascadeRCNN`."""
