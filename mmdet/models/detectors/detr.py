"""DETR (https://arxiv.org/abs/2005.12872)."""

from torch import Tensor

from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.single_stage import SingleStageDetector


@DETECTORS.register_module()
class DETR(SingleStageDetector):
    """DETR; arguments as :class:`SingleStageDetector`, without a neck."""

    def __init__(
        self,
        backbone: dict,
        bbox_head: dict,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        pretrained: str | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(backbone, None, bbox_head, train_cfg, test_cfg, pretrained, init_cfg)

    def forward_dummy(self, img: Tensor) -> tuple:
        """The network alone, without losses or boxes; for counting operations."""
        size = tuple(img.shape[-2:])
        img_metas = [dict(batch_input_shape=size, img_shape=(*size, 3)) for _ in img]
        return self.bbox_head(self.extract_feat(img), img_metas)
