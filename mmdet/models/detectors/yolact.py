"""YOLACT: real-time instance segmentation (https://arxiv.org/abs/1904.02689)."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmdet.core.bbox.transforms import bbox2result
from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import DETECTORS, build_head
from mmdet.models.detectors.base import BaseDetector
from mmdet.models.detectors.single_stage import SingleStageDetector
from mmdet.models.utils.export import refuse_export


@DETECTORS.register_module()
class YOLACT(SingleStageDetector):
    """A single-stage detector whose boxes have masks, mixed from prototypes.

    Args:
        backbone: config of the backbone.
        neck: config of the neck; None: none.
        bbox_head: config of the box head, a ``YOLACTHead``.
        segm_head: config of the head of the additional segmentation loss.
        mask_head: config of the head of the prototypes.
        train_cfg: of the box head.
        test_cfg: of the box head.
        pretrained: deprecated; weights of the backbone.
        init_cfg: initialisation of the weights.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict | None,
        bbox_head: dict,
        segm_head: dict,
        mask_head: dict,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        pretrained: str | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(backbone, neck, bbox_head, train_cfg, test_cfg, pretrained, init_cfg)
        self.segm_head = build_head(segm_head)
        self.mask_head = build_head(mask_head)

    def forward_dummy(self, img: Tensor) -> tuple:
        """The network alone, without losses or boxes: box head's outputs and prototypes."""
        feats = self.extract_feat(img)
        return self.bbox_head(feats), self.mask_head.forward_dummy(feats[0])

    def forward_train(
        self,
        img: Tensor,
        img_metas: list[ImgMeta],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        gt_bboxes_ignore: list[Tensor] | None = None,
        gt_masks: list | None = None,
    ) -> dict[str, Any]:
        """Losses of a batch.

        Args:
            img: (N, 3, H, W), normalised.
            img_metas: meta information of the N images.
            gt_bboxes: N times (G, 4).
            gt_labels: N times (G,).
            gt_bboxes_ignore: N times (G', 4) regions in which nothing is learnt.
            gt_masks: masks of the objects of each image; needed.

        Raises:
            ValueError: there are no masks.
        """
        if gt_masks is None:
            raise ValueError('YOLACT is trained with masks: gt_masks is None. LoadAnnotations needs with_mask=True')
        BaseDetector.forward_train(self, img, img_metas)
        masks = [image.to_tensor(dtype=torch.uint8, device=img.device) for image in gt_masks]
        feats = self.extract_feat(img)
        cls_scores, bbox_preds, coeffs = self.bbox_head(feats)
        losses, sampled = self.bbox_head.loss(cls_scores, bbox_preds, gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore)
        losses.update(self.segm_head.loss(self.segm_head(feats[0]), masks, gt_labels, img_metas))
        mask_pred = self.mask_head(feats[0], coeffs, gt_bboxes, img_metas, sampled)
        losses.update(self.mask_head.loss(mask_pred, masks, gt_bboxes, img_metas, sampled))
        return losses

    def simple_test(
        self, img: Tensor, img_metas: list[ImgMeta], rescale: bool = False
    ) -> list[tuple[list[np.ndarray], list[list[np.ndarray]]]]:
        """Boxes and masks of each image, by class; see :meth:`SingleStageDetector.simple_test`."""
        feats = self.extract_feat(img)
        boxes, labels, coeffs = zip(*self.bbox_head.simple_test(feats, img_metas, rescale=rescale))
        masks = self.mask_head.simple_test(feats, boxes, labels, coeffs, img_metas, rescale=rescale)
        by_class = [bbox2result(*image, self.bbox_head.num_classes) for image in zip(boxes, labels)]
        return list(zip(by_class, masks))

    onnx_export = refuse_export

    def aug_test(self, imgs: list[Tensor], img_metas: list[list[ImgMeta]], rescale: bool = False) -> list:
        """Not offered.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError('YOLACT has no test with augmentation')
