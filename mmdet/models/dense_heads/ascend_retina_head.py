"""The head of RetinaNet with an assigner of whole batches."""

from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.ascend_anchor_head import AscendAnchorHead
from mmdet.models.dense_heads.retina_head import RetinaHead


@HEADS.register_module()
class AscendRetinaHead(RetinaHead, AscendAnchorHead):
    """:class:`RetinaHead`, whose assigner may be an ``AscendMaxIoUAssigner``."""
