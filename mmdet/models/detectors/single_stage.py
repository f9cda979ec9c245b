"""Detectors that read their boxes directly off the feature maps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from mmdet.core.bbox.transforms import bbox2result
from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import DETECTORS, build_head
from mmdet.models.detectors.base import BaseDetector
from mmdet.models.utils.export import detection_limit, stack_detections
from mmdet.models.utils.settings import as_config


@DETECTORS.register_module()
class SingleStageDetector(BaseDetector):
    """Backbone, neck, and one dense head that classifies and locates.

    Args:
        backbone: config of the backbone.
        neck: config of the neck; None: none.
        bbox_head: config of the dense head.
        train_cfg: the head's ``train_cfg``.
        test_cfg: the head's ``test_cfg``.
        pretrained: deprecated; weights of the backbone.
        init_cfg: initialisation of the weights.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict | None = None,
        bbox_head: dict | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        pretrained: str | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self._build_trunk(backbone, neck, pretrained)
        self.train_cfg = as_config(train_cfg)
        self.test_cfg = as_config(test_cfg)
        self.bbox_head = build_head({**(bbox_head or {}), 'train_cfg': self.train_cfg, 'test_cfg': self.test_cfg})

    def extract_feat(self, img: Tensor) -> Sequence[Tensor]:
        """Images (N, 3, H, W) -> L feature maps (N, C, H, W)."""
        return self._run_trunk(img)

    def forward_dummy(self, img: Tensor) -> tuple:
        """The network alone, without losses or boxes; for counting operations."""
        return self.bbox_head(self.extract_feat(img))

    def forward_train(
        self,
        img: Tensor,
        img_metas: list[ImgMeta],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, Any]:
        """Losses of a batch.

        Args:
            img: (N, 3, H, W), normalised.
            img_metas: meta information of the N images.
            gt_bboxes: N times (G, 4).
            gt_labels: N times (G,).
            gt_bboxes_ignore: N times (G', 4) regions in which nothing is learnt.
        """
        super().forward_train(img, img_metas)
        return self.bbox_head.forward_train(self.extract_feat(img), img_metas, gt_bboxes, gt_labels, gt_bboxes_ignore)

    def simple_test(self, img: Tensor, img_metas: list[ImgMeta], rescale: bool = False) -> list[list[np.ndarray]]:
        """Detections of each image: for each class boxes with scores (n, 5).

        Args:
            img: (N, 3, H, W), normalised.
            img_metas: meta information of the N images.
            rescale: give boxes in pixels of the original image.
        """
        results = self.bbox_head.simple_test(self.extract_feat(img), img_metas, rescale=rescale)
        return self._by_class(results)

    def aug_test(
        self, imgs: list[Tensor], img_metas: list[list[ImgMeta]], rescale: bool = False
    ) -> list[list[np.ndarray]]:
        """Detections of one image, merged over its augmented versions; a list with one entry.

        Raises:
            NotImplementedError: the head has no augmented test.
        """
        if not hasattr(self.bbox_head, 'aug_test'):
            raise NotImplementedError(f'{type(self.bbox_head).__name__} has no test with augmentation')
        return self._by_class(self.bbox_head.aug_test(self.extract_feats(imgs), img_metas, rescale=rescale))

    def onnx_export(self, img: Tensor, img_metas: list[ImgMeta], with_nms: bool = True) -> tuple[Tensor, Tensor]:
        """Detections with results of one shape: boxes with scores (N, k, 5) px of the input, labels (N, k).

        Rows that only fill up have the label -1. ``with_nms=False`` gives the best candidates of the suppression.

        Args:
            img: (N, 3, H, W), normalised.
            img_metas: meta information of the N images.
            with_nms: suppress overlapping boxes.
        """
        feats = self.extract_feat(img)
        if with_nms:
            results = self.bbox_head.simple_test(feats, img_metas)
            return stack_detections(results, detection_limit(self.bbox_head.test_cfg))
        return self.bbox_head.onnx_export(*self.bbox_head(feats), img_metas=img_metas, with_nms=False)

    def _by_class(self, results: list[tuple[Tensor, Tensor]]) -> list[list[np.ndarray]]:
        return [bbox2result(bboxes, labels, self.bbox_head.num_classes) for bboxes, labels in results]
