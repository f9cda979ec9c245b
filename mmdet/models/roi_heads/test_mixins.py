"""Inference of the RoI heads: one view of each image of a batch, or several views of one image."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmdet.core.bbox.transforms import bbox2roi, bbox_mapping
from mmdet.core.img_meta import ImgMeta
from mmdet.core.post_processing.bbox_nms import multiclass_nms
from mmdet.core.post_processing.merge_augs import merge_aug_bboxes, merge_aug_masks
from mmdet.models.roi_heads.mask_heads.paste import masks_of_labels
from mmdet.models.utils.export import detection_limit, found_rois, in_their_rows, stack_detections
from mmdet.utils.running.device_copy import tensor_like

Features = Sequence[Tensor]  # feature maps (N, C, H_l, W_l), finest first
Masks = list[list[np.ndarray]]  # for each class the masks (H, W) of its detections


def split_prediction(prediction: Any, counts: Sequence[int], head: Any) -> Sequence[Any]:
    """Predictions of the RoIs of a batch -> those of each image; None stays None for each."""
    if prediction is None:
        return [None] * len(counts)
    if isinstance(prediction, Tensor):
        return prediction.split(counts)
    return head.bbox_pred_split(prediction, counts)  # box heads that predict more than one tensor cut it themselves


def view_boxes(boxes: Tensor, img_meta: ImgMeta) -> Tensor:
    """(n, 4) px of the original image -> px of the view that ``img_meta`` describes (scaled, then flipped)."""
    return bbox_mapping(
        boxes, img_meta['img_shape'], img_meta['scale_factor'], img_meta['flip'], img_meta['flip_direction']
    )


class BBoxTestMixin:
    """Inference of the box branch, for a class that has what is declared here."""

    bbox_head: Any
    _bbox_forward: Callable[..., dict[str, Any]]

    def simple_test_bboxes(
        self, x: Features, img_metas: list[ImgMeta], proposals: list[Tensor], rcnn_test_cfg: Any, rescale: bool = False
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Detections of each of N images.

        Args:
            x: feature maps of the batch.
            img_metas: have ``img_shape`` and ``scale_factor``.
            proposals: N times (n_i, 4) or (n_i, 5), xyxy px of the network input first.
            rcnn_test_cfg: see :meth:`BBoxHead.get_bboxes`; None leaves out suppression.
            rescale: give boxes in px of the original image.

        Returns:
            N times (k_i, 5) detections and N times (k_i,) labels; without ``rcnn_test_cfg`` all boxes (n_i, 4 * K), or
            (n_i, 4) where the head is class agnostic or there is no proposal, and scores (n_i, K + 1).
        """
        rois = bbox2roi(proposals)
        counts = [p.size(0) for p in proposals]
        results = self._bbox_forward(x, rois)
        cls_scores = split_prediction(results['cls_score'], counts, self.bbox_head)
        bbox_preds = split_prediction(results['bbox_pred'], counts, self.bbox_head)
        dets, labels = [], []
        for img_rois, cls_score, bbox_pred, img_meta in zip(rois.split(counts), cls_scores, bbox_preds, img_metas):
            det, label = self.bbox_head.get_bboxes(
                img_rois,
                cls_score,
                bbox_pred,
                img_meta['img_shape'],
                img_meta['scale_factor'],
                rescale=rescale,
                cfg=rcnn_test_cfg,
            )
            dets.append(det if rcnn_test_cfg is not None or len(det) else det[:, :4])
            labels.append(label)
        return dets, labels

    def bbox_onnx_export(
        self, x: Features, img_metas: list[ImgMeta], proposals: Sequence[Tensor], rcnn_test_cfg: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """The boxes and labels of :meth:`onnx_export`; ``kwargs`` are not used."""
        found = self.simple_test_bboxes(x, img_metas, list(proposals), rcnn_test_cfg)
        return stack_detections(list(zip(*found)), detection_limit(rcnn_test_cfg))

    async def async_test_bboxes(
        self,
        x: Features,
        img_metas: list[ImgMeta],
        proposals: list[Tensor],
        rcnn_test_cfg: Any,
        rescale: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor]:
        """Detections (k, 5) and labels (k,) of one image, for a caller with an event loop; it does not yield."""
        dets, labels = self.simple_test_bboxes(x, img_metas, proposals, rcnn_test_cfg, rescale)
        return dets[0], labels[0]

    def aug_test_bboxes(
        self, feats: Sequence[Features], img_metas: list[list[ImgMeta]], proposal_list: list[Tensor], rcnn_test_cfg: Any
    ) -> tuple[Tensor, Tensor]:
        """Detections of one image, from the mean over V views of it.

        Args:
            feats: feature maps of each view.
            img_metas: V lists of one dict.
            proposal_list: one tensor (n, 4) or (n, 5), xyxy px of the original image first.
            rcnn_test_cfg: has ``score_thr``, ``nms`` and ``max_per_img``.

        Returns:
            Detections (k, 5), px of the original image, and labels (k,).
        """
        boxes, scores = [], []
        for x, (img_meta,) in zip(feats, img_metas):
            rois = bbox2roi([view_boxes(proposal_list[0][:, :4], img_meta)])
            results = self._bbox_forward(x, rois)
            view = self.bbox_head.get_bboxes(
                rois, results['cls_score'], results['bbox_pred'], img_meta['img_shape'], img_meta['scale_factor']
            )
            boxes.append(view[0])
            scores.append(view[1])
        merged_boxes, merged_scores = merge_aug_bboxes(boxes, scores, img_metas, rcnn_test_cfg)
        return multiclass_nms(
            merged_boxes, merged_scores, rcnn_test_cfg.score_thr, rcnn_test_cfg.nms, rcnn_test_cfg.max_per_img
        )


class MaskTestMixin:
    """Inference of the mask branch, for a class that has what is declared here."""

    mask_head: Any
    test_cfg: Any
    _mask_forward: Callable[..., dict[str, Any]]

    def simple_test_mask(
        self,
        x: Features,
        img_metas: list[ImgMeta],
        det_bboxes: list[Tensor],
        det_labels: list[Tensor],
        rescale: bool = False,
    ) -> list[Masks]:
        """Masks of the detections of each of N images.

        Args:
            x: feature maps of the batch.
            img_metas: have ``ori_shape`` and ``scale_factor``.
            det_bboxes: N times (k_i, 5), px of the original image with ``rescale``, else of the network input.
            det_labels: N times (k_i,).
            rescale: give masks of the original image's size.

        Returns:
            N times, for each class, a list of arrays (H, W).
        """
        counts = [len(det) for det in det_bboxes]
        if not any(counts):
            return [self._no_masks() for _ in img_metas]
        boxes = network_boxes(det_bboxes, img_metas, rescale)
        mask_pred = self._test_mask_pred(x, bbox2roi(boxes), torch.cat(det_labels))
        return self._paste_masks(mask_pred.split(counts), boxes, det_labels, img_metas, rescale)

    def _test_mask_pred(self, x: Features, mask_rois: Tensor, det_labels: Tensor) -> Tensor:
        """Mask logits (n, K, h, w), or (n, 1, h, w), of RoIs (n, 5) found to be of the classes ``det_labels`` (n,)."""
        return self._mask_forward(x, mask_rois)['mask_pred']

    def mask_onnx_export(
        self, x: Features, img_metas: list[ImgMeta], det_bboxes: Tensor, det_labels: Tensor, **kwargs: Any
    ) -> Tensor:
        """Masks (N, k, h, w) in [0, 1] of boxes (N, k, 5) px with labels (N, k); zeros where the label is -1."""
        rows, rois, labels = found_rois(det_bboxes, det_labels)
        masks = masks_of_labels(self._test_mask_scores(x, rois, labels), labels)
        return in_their_rows(masks, rows, det_labels)

    def _test_mask_scores(self, x: Features, rois: Tensor, labels: Tensor) -> Tensor:
        """Masks (n, K, h, w), or (n, 1, h, w), in [0, 1] of RoIs (n, 5) found to be of the classes ``labels`` (n,)."""
        return self._test_mask_pred(x, rois, labels).sigmoid()

    def _paste_masks(
        self,
        mask_preds: Sequence[Tensor],
        boxes: Sequence[Tensor],
        det_labels: Sequence[Tensor],
        img_metas: Sequence[ImgMeta],
        rescale: bool,
    ) -> list[Masks]:
        """Mask logits of each image's RoIs, boxes px of the network input -> masks of each image."""
        return [
            self.mask_head.get_seg_masks(
                pred, box, label, self.test_cfg, meta['ori_shape'], meta['scale_factor'], rescale
            )
            for pred, box, label, meta in zip(mask_preds, boxes, det_labels, img_metas)
        ]

    async def async_test_mask(
        self,
        x: Features,
        img_metas: list[ImgMeta],
        det_bboxes: Tensor,
        det_labels: Tensor,
        rescale: bool = False,
        mask_test_cfg: Any = None,
    ) -> Masks:
        """Masks of one image's detections, for a caller with an event loop; it does not yield."""
        return self.simple_test_mask(x, img_metas, [det_bboxes], [det_labels], rescale)[0]

    def aug_test_mask(
        self, feats: Sequence[Features], img_metas: list[list[ImgMeta]], det_bboxes: Tensor, det_labels: Tensor
    ) -> Masks:
        """Masks of one image's detections, from the mean over V views of it.

        Args:
            feats: feature maps of each view.
            img_metas: V lists of one dict.
            det_bboxes: (k, 5), px of the original image.
            det_labels: (k,).

        Returns:
            For each class a list of arrays (H, W) of the original image's size.
        """
        if not len(det_bboxes):
            return self._no_masks()
        view_masks = []
        for x, (img_meta,) in zip(feats, img_metas):
            mask_rois = bbox2roi([view_boxes(det_bboxes[:, :4], img_meta)])
            mask_pred = self._test_mask_pred(x, mask_rois, det_labels)
            view_masks.append(mask_pred.detach().sigmoid().cpu().numpy())
        masks = merge_aug_masks(view_masks, img_metas, self.test_cfg)
        ori_shape = img_metas[0][0]['ori_shape']
        return self.mask_head.get_seg_masks(masks, det_bboxes, det_labels, self.test_cfg, ori_shape, 1.0, False)

    def _no_masks(self) -> Masks:
        return [[] for _ in range(self.mask_head.num_classes)]


def network_boxes(det_bboxes: Sequence[Tensor], img_metas: Sequence[ImgMeta], rescale: bool) -> list[Tensor]:
    """Boxes of each image's detections (k_i, 5), in px of the network input (k_i, 4).

    With ``rescale`` the detections are in px of the original image.
    """
    return [
        det[:, :4] * scale_tensor(meta['scale_factor'], det) if rescale else det[:, :4]
        for det, meta in zip(det_bboxes, img_metas)
    ]


def scale_tensor(scale_factor: Any, like: Tensor) -> Tensor:
    """A number or (w, h, w, h) -> tensor with the type and device of ``like``."""
    return tensor_like(scale_factor, like)
