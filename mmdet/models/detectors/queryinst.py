"""QueryInst (https://arxiv.org/abs/2105.01928)."""

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.sparse_rcnn import SparseRCNN


@DETECTORS.register_module()
class QueryInst(SparseRCNN):
    """QueryInst: Sparse R-CNN with masks; arguments as :class:`TwoStageDetector`, in an order of its own."""

    def __init__(
        self,
        backbone: dict,
        rpn_head: dict,
        roi_head: dict,
        train_cfg: dict | None,
        test_cfg: dict | None,
        neck: dict | None = None,
        pretrained: str | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(
            backbone=backbone,
            neck=neck,
            rpn_head=rpn_head,
            roi_head=roi_head,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            pretrained=pretrained,
            init_cfg=init_cfg,
        )
