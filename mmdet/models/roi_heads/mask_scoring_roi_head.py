"""The RoI head of Mask Scoring R-CNN (https://arxiv.org/abs/1903.00241)."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmdet.core.bbox.transforms import bbox2roi
from mmdet.core.img_meta import ImgMeta
from mmdet.models.base_head import loss_of_rows
from mmdet.models.builder import HEADS, build_head
from mmdet.models.roi_heads.functional.compat import call_with_img_metas
from mmdet.models.roi_heads.mask_heads.paste import masks_of_labels
from mmdet.models.roi_heads.standard_roi_head import StandardRoIHead
from mmdet.models.roi_heads.test_mixins import Features, Masks, network_boxes


@HEADS.register_module()
class MaskScoringRoIHead(StandardRoIHead):
    """A further head predicts how good each mask is, and the masks get scores of their own.

    Args:
        mask_iou_head: config of that head.
        kwargs: those of :class:`StandardRoIHead`, a mask head among them.

    Raises:
        ValueError: there is no mask head.
    """

    has_static_shapes = True

    def __init__(self, mask_iou_head: dict, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not self.with_mask:
            raise ValueError('MaskScoringRoIHead needs a mask_head whose masks it can judge')
        self.mask_iou_head = build_head(mask_iou_head)

    def _mask_forward_train(
        self,
        x: Features,
        sampling_results: list[Any],
        bbox_feats: Tensor | None,
        gt_masks: list[Any],
        img_metas: list[ImgMeta],
    ) -> dict[str, Any]:
        """As in :class:`StandardRoIHead`, with ``loss_mask_iou`` among the losses."""
        mask_results = super()._mask_forward_train(x, sampling_results, bbox_feats, gt_masks, img_metas)
        labels = torch.cat([res.pos_gt_labels for res in sampling_results])
        # the head judges one mask of each object; those of other classes have not been trained on it
        mask_pred = masks_of_labels(mask_results['mask_pred'], labels)
        iou_pred = self.mask_iou_head(mask_results['mask_feats'], mask_pred)
        iou_targets = call_with_img_metas(
            self.mask_iou_head.get_targets,
            sampling_results,
            gt_masks,
            mask_pred,
            mask_results['mask_targets'],
            self.train_cfg,
            img_metas=img_metas,
        )
        iou_of_label = iou_pred.gather(1, labels[:, None])[:, 0]
        loss_mask_iou = loss_of_rows(self.mask_iou_head, sampling_results, img_metas, iou_of_label, iou_targets)
        mask_results['loss_mask'].update(loss_mask_iou)
        return mask_results

    def simple_test_mask(
        self,
        x: Features,
        img_metas: list[ImgMeta],
        det_bboxes: list[Tensor],
        det_labels: list[Tensor],
        rescale: bool = False,
    ) -> list[tuple[Masks, list[np.ndarray]]]:
        """Masks of the detections of each of N images, and their scores.

        Args:
            x: feature maps of the batch.
            img_metas: have ``ori_shape`` and ``scale_factor``.
            det_bboxes: N times (k_i, 5), px of the original image with ``rescale``, else of the network input.
            det_labels: N times (k_i,).
            rescale: give masks of the original image's size.

        Returns:
            N pairs: for each class a list of arrays (H, W), and for each class an array with the masks' scores.
        """
        counts = [len(det) for det in det_bboxes]
        boxes = network_boxes(det_bboxes, img_metas, rescale)
        results = self._mask_forward(x, bbox2roi(boxes))
        mask_pred = masks_of_labels(results['mask_pred'], torch.cat(det_labels))
        iou_preds = self.mask_iou_head(results['mask_feats'], mask_pred).split(counts)
        masks = self._paste_masks(mask_pred[:, None].split(counts), boxes, det_labels, img_metas, rescale)
        scores = [self.mask_iou_head.get_mask_scores(*image) for image in zip(iou_preds, det_bboxes, det_labels)]
        return list(zip(masks, scores))
