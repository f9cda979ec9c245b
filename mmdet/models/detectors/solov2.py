"""SOLOv2 (https://arxiv.org/abs/2003.10152)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.single_stage_instance_seg import SingleStageInstanceSegmentor


@DETECTORS.register_module()
class SOLOv2(SingleStageInstanceSegmentor):
    """SOLOv2.

    Args:
        backbone: config of the backbone.
        neck: config of the neck; None: none.
        bbox_head: config of a box head; None: none.
        mask_head: config of the mask head.
        train_cfg: of the heads.
        test_cfg: of the heads.
        init_cfg: initialisation of the weights.
        pretrained: deprecated; weights of the backbone.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict | None = None,
        bbox_head: dict | None = None,
        mask_head: dict | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | list | None = None,
        pretrained: str | None = None,
    ) -> None:
        super().__init__(backbone, neck, bbox_head, mask_head, train_cfg, test_cfg, pretrained, init_cfg)
