"""Inference of the cascades: stages refine boxes one after the other, their scores are averaged."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mmdet.core.bbox.transforms import bbox2roi
from mmdet.core.img_meta import ImgMeta
from mmdet.core.post_processing.bbox_nms import multiclass_nms
from mmdet.core.post_processing.merge_augs import merge_aug_bboxes, merge_aug_masks
from mmdet.models.roi_heads.functional.cascade_stages import likeliest_classes, masks_of_images, mean_scores
from mmdet.models.roi_heads.test_mixins import (
    BBoxTestMixin,
    Features,
    Masks,
    MaskTestMixin,
    network_boxes,
    split_prediction,
    view_boxes,
)

Context = dict[str, Tensor]  # features of whole images that each stage gets as keyword arguments
StageOutput = tuple[Tensor, Tensor, Any]  # of one image: RoIs (n, 5), logits (n, K + 1), box codes


class CascadeTestMixin(BBoxTestMixin, MaskTestMixin):
    """Inference of a RoI head whose box and mask branches have stages, for a class that has what is declared here."""

    num_stages: int
    with_mask: bool
    _image_context: Callable[[Features], Context]
    _mask_predictions: Callable[[Features, Tensor, Context], list[Tensor]]

    def simple_test_bboxes(
        self,
        x: Features,
        img_metas: list[ImgMeta],
        proposals: list[Tensor],
        rcnn_test_cfg: Any,
        rescale: bool = False,
        context: Context | None = None,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Detections of each of N images, as :meth:`BBoxTestMixin.simple_test_bboxes`; ``context`` saves time."""
        found = [
            self.bbox_head[-1].get_bboxes(
                *output, meta['img_shape'], meta['scale_factor'], rescale=rescale, cfg=rcnn_test_cfg
            )
            for output, meta in zip(self._run_stages(x, proposals, img_metas, context), img_metas)
        ]
        dets, labels = zip(*found)
        return list(dets), list(labels)

    def _run_stages(
        self, x: Features, proposals: list[Tensor], img_metas: list[ImgMeta], context: Context | None
    ) -> list[StageOutput]:
        """For each image the RoIs and box codes of the last stage, and the mean of the logits of all stages."""
        context = self._image_context(x) if context is None else context
        counts = [p.size(0) for p in proposals]
        rois, logits = bbox2roi(proposals), []
        for stage, head in enumerate(self.bbox_head):
            results = self._bbox_forward(stage, x, rois, **context)
            logits.append(results['cls_score'])
            bbox_preds = split_prediction(results['bbox_pred'], counts, head)
            if stage + 1 < self.num_stages:
                labels = likeliest_classes(head, logits[-1]).split(counts)
                rois = torch.cat(
                    [
                        head.regress_by_class(*of_image)
                        for of_image in zip(rois.split(counts), labels, bbox_preds, img_metas)
                    ]
                )
        mean_logits = sum(logits) / self.num_stages
        return list(zip(rois.split(counts), mean_logits.split(counts), bbox_preds))

    def simple_test_mask(
        self,
        x: Features,
        img_metas: list[ImgMeta],
        det_bboxes: list[Tensor],
        det_labels: list[Tensor],
        rescale: bool = False,
        context: Context | None = None,
    ) -> list[Masks]:
        """Masks of each of N images, as :meth:`MaskTestMixin.simple_test_mask`; ``context`` saves time."""
        if not any(map(len, det_bboxes)):
            return [self._no_masks() for _ in img_metas]
        context = self._image_context(x) if context is None else context
        boxes = network_boxes(det_bboxes, img_metas, rescale)
        scores = mean_scores(self._mask_predictions(x, bbox2roi(boxes), context))
        return masks_of_images(self._last_mask_head(), scores, boxes, det_labels, img_metas, self.test_cfg, rescale)

    def _last_mask_head(self) -> Any:
        """The mask head that pastes."""
        return self.mask_head[-1]

    def _no_masks(self) -> Masks:
        return [[] for _ in range(self._last_mask_head().num_classes)]

    def aug_test_bboxes(
        self,
        feats: Sequence[Features],
        img_metas: list[list[ImgMeta]],
        proposal_list: list[Tensor],
        rcnn_test_cfg: Any,
        contexts: Sequence[Context | None] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Detections of one image, as :meth:`BBoxTestMixin.aug_test_bboxes`; ``contexts`` of the views save time."""
        views = []
        for x, metas, context in zip(feats, img_metas, contexts or [None] * len(feats)):
            proposals = [view_boxes(proposal_list[0][:, :4], metas[0])]
            ((rois, cls_score, bbox_pred),) = self._run_stages(x, proposals, metas, context)
            views.append(
                self.bbox_head[-1].get_bboxes(
                    rois, cls_score, bbox_pred, metas[0]['img_shape'], metas[0]['scale_factor']
                )
            )
        boxes, scores = zip(*views)
        merged = merge_aug_bboxes(boxes, scores, img_metas, rcnn_test_cfg)
        return multiclass_nms(*merged, rcnn_test_cfg.score_thr, rcnn_test_cfg.nms, rcnn_test_cfg.max_per_img)

    def aug_test_mask(
        self,
        feats: Sequence[Features],
        img_metas: list[list[ImgMeta]],
        det_bboxes: Tensor,
        det_labels: Tensor,
        contexts: Sequence[Context | None] | None = None,
    ) -> Masks:
        """Masks of one image, as :meth:`MaskTestMixin.aug_test_mask`; ``contexts`` of the views save time."""
        if not len(det_bboxes):
            return self._no_masks()
        scores = []
        for x, metas, context in zip(feats, img_metas, contexts or [None] * len(feats)):
            rois = bbox2roi([view_boxes(det_bboxes[:, :4], metas[0])])
            context = self._image_context(x) if context is None else context
            scores.append(mean_scores(self._mask_predictions(x, rois, context)))
        merged = merge_aug_masks(scores, img_metas, self.test_cfg)
        ori_shape = img_metas[0][0]['ori_shape']
        return self._last_mask_head().get_seg_masks(
            merged, det_bboxes, det_labels, self.test_cfg, ori_shape, 1.0, False
        )

    def _test_mask_scores(self, x: Features, rois: Tensor, labels: Tensor) -> Tensor:
        """Means over the stages (n, K, h, w) of the masks in [0, 1] of RoIs (n, 5)."""
        predictions = self._mask_predictions(x, rois, self._image_context(x))
        # probabilities are averaged, not logits: one stage with large logits must not outvote the others
        return torch.stack([logits.sigmoid() for logits in predictions]).mean(0)

    def onnx_export(self, x: Features, proposals: Sequence[Tensor], img_metas: list[ImgMeta]) -> tuple[Tensor, ...]:
        """Results with tensors of one shape; see :meth:`StandardRoIHead.onnx_export`."""
        dets, labels = self.bbox_onnx_export(x, img_metas, proposals, self.test_cfg)
        if not self.with_mask:
            return dets, labels
        return dets, labels, self.mask_onnx_export(x, img_metas, dets, labels)
