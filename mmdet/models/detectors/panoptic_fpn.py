"""Panoptic FPN (https://arxiv.org/abs/1901.02446)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.panoptic_two_stage_segmentor import TwoStagePanopticSegmentor


@DETECTORS.register_module()
class PanopticFPN(TwoStagePanopticSegmentor):
    """Panoptic FPN; arguments as :class:`TwoStagePanopticSegmentor`."""

    def __init__(
        self,
        backbone: dict,
        neck: dict | None = None,
        rpn_head: dict | None = None,
        roi_head: dict | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        pretrained: str | None = None,
        init_cfg: dict | list | None = None,
        semantic_head: dict | None = None,
        panoptic_fusion_head: dict | None = None,
    ) -> None:
        super().__init__(
            backbone,
            neck,
            rpn_head,
            roi_head,
            train_cfg,
            test_cfg,
            pretrained,
            init_cfg,
            semantic_head,
            panoptic_fusion_head,
        )
