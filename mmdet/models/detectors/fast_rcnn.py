"""Fast R-CNN (https://arxiv.org/abs/1504.08083): the second stage on proposals that come with the data."""

from typing import Any

from torch import Tensor

from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.two_stage import TwoStageDetector


@DETECTORS.register_module()
class FastRCNN(TwoStageDetector):
    """Fast R-CNN; arguments as :class:`TwoStageDetector`, without a first stage."""

    def __init__(
        self,
        backbone: dict,
        roi_head: dict,
        train_cfg: dict | None,
        test_cfg: dict | None,
        neck: dict | None = None,
        pretrained: str | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(backbone, neck, None, roi_head, train_cfg, test_cfg, pretrained, init_cfg)

    def forward_test(
        self, imgs: list[Tensor], img_metas: list[list[ImgMeta]], proposals: list[list[Tensor]], **kwargs: Any
    ) -> list:
        """Results of a batch; ``proposals`` holds, for the one version of the batch, N times (n, 4 or 5)."""
        return super().forward_test(imgs, img_metas, proposals=proposals, **kwargs)
