"""The plain box head, and the targets, losses and decoding that all box heads share.

n: sampled boxes (or RoIs) of the whole batch; n_i: those of image i; K: classes, label K being background.
Boxes are xyxy px of the network input.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmcv.utils import to_2tuple
from torch import Tensor

from mmdet.core.bbox.builder import build_bbox_coder
from mmdet.core.bbox.iou_calculators.iou2d_calculator import greatest_overlaps
from mmdet.core.bbox.transforms import clip_boxes
from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets, objects_of_sample
from mmdet.core.utils.misc import images_of_rows, multi_apply
from mmdet.models.base_head import BaseHead
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.roi_heads.bbox_heads.functional import (
    boxes_of_labels,
    detections,
    mean_of,
    moved_rois,
    positives_first,
    refined_rows,
)
from mmdet.models.roi_heads.bbox_heads.losses import box_loss, class_losses_of
from mmdet.models.roi_heads.functional.compat import takes_img_metas
from mmdet.models.utils.builder import build_linear_layer
from mmdet.models.utils.export import detection_limit, stack_detections

# Defaults of the constructor, which are part of its signature. They are copied before use, never written to.
BBOX_CODER = dict(
    type='DeltaXYWHBBoxCoder', clip_border=True, target_means=[0.0, 0.0, 0.0, 0.0], target_stds=[0.1, 0.1, 0.2, 0.2]
)
LINEAR = dict(type='Linear')
LOSS_CLS = dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)
LOSS_BBOX = dict(type='SmoothL1Loss', beta=1.0, loss_weight=1.0)


@HEADS.register_module()
class BBoxHead(BaseHead):
    """One linear layer for the classes and one for the boxes, straight on the RoI features.

    Args:
        with_avg_pool: average the features over space first.
        with_cls: whether to classify.
        with_reg: whether to regress boxes.
        roi_feat_size: height and width of the RoI features, or one number for both.
        in_channels: channels of the RoI features.
        num_classes: number of classes K, without background.
        bbox_coder: codes boxes relative to the RoIs.
        reg_class_agnostic: one box for each RoI instead of one for each class.
        reg_decoded_bbox: the box loss compares boxes in px (for IoU losses) instead of their codes.
        reg_predictor_cfg, cls_predictor_cfg: the two linear layers.
        loss_cls, loss_bbox: the losses.
        init_cfg: initialisation; by default normal, std 0.01 for the classes and 0.001 for the boxes.
    """

    has_static_shapes = True
    directive_head, directive_fallback = 'bbox_head', 'roi_head'

    def __init__(
        self,
        with_avg_pool: bool = False,
        with_cls: bool = True,
        with_reg: bool = True,
        roi_feat_size: int | tuple[int, int] = 7,
        in_channels: int = 256,
        num_classes: int = 80,
        bbox_coder: dict = BBOX_CODER,
        reg_class_agnostic: bool = False,
        reg_decoded_bbox: bool = False,
        reg_predictor_cfg: dict = LINEAR,
        cls_predictor_cfg: dict = LINEAR,
        loss_cls: dict = LOSS_CLS,
        loss_bbox: dict = LOSS_BBOX,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not (with_cls or with_reg):
            raise ValueError('with_cls and with_reg are both False: the head would have nothing to do')
        self.with_avg_pool = with_avg_pool
        self.with_cls = with_cls
        self.with_reg = with_reg
        self.roi_feat_size = to_2tuple(roi_feat_size)
        self.roi_feat_area = self.roi_feat_size[0] * self.roi_feat_size[1]
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.reg_class_agnostic = reg_class_agnostic
        self.reg_decoded_bbox = reg_decoded_bbox
        self.reg_predictor_cfg = reg_predictor_cfg
        self.cls_predictor_cfg = cls_predictor_cfg
        self.bbox_coder = build_bbox_coder(bbox_coder)
        self.loss_cls = build_loss(loss_cls)
        self.loss_bbox = build_loss(loss_bbox)
        self.debug_imgs = None  # users' code puts images here to look at
        features = in_channels * (1 if with_avg_pool else self.roi_feat_area)
        if with_avg_pool:
            self.avg_pool = nn.AvgPool2d(self.roi_feat_size)
        self._build_predictors(features, features)
        if init_cfg is None:
            layers = [('fc_cls', 0.01)] * with_cls + [('fc_reg', 0.001)] * with_reg
            self.init_cfg = [dict(type='Normal', std=std, override=dict(name=name)) for name, std in layers]

    def _build_predictors(self, cls_features: int, reg_features: int) -> None:
        """Make the two last layers, for so many input features."""
        if self.with_cls:
            channels = self._cls_channels()
            self.fc_cls = build_linear_layer(self.cls_predictor_cfg, in_features=cls_features, out_features=channels)
        if self.with_reg:
            channels = 4 if self.reg_class_agnostic else 4 * self.num_classes
            self.fc_reg = build_linear_layer(self.reg_predictor_cfg, in_features=reg_features, out_features=channels)

    def _cls_channels(self) -> int:
        """Outputs of the classifier: the classes and background, unless the loss wants others."""
        return self.loss_cls.get_cls_channels(self.num_classes) if self.custom_cls_channels else self.num_classes + 1

    @property
    def custom_cls_channels(self) -> bool:
        """Whether the classification loss says how many outputs it needs (``get_cls_channels``)."""
        return getattr(self.loss_cls, 'custom_cls_channels', False)

    @property
    def custom_activation(self) -> bool:
        """Whether the classification loss turns logits into scores itself (``get_activation``)."""
        return getattr(self.loss_cls, 'custom_activation', False)

    @property
    def custom_accuracy(self) -> bool:
        """Whether the classification loss measures its accuracy itself (``get_accuracy``)."""
        return getattr(self.loss_cls, 'custom_accuracy', False)

    def forward(self, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """RoI features (n, C, h, w) -> logits (n, K + 1) and box codes (n, 4 K), or (n, 4) when class agnostic."""
        x = (self.avg_pool(x) if self.with_avg_pool else x).flatten(1)
        return self.fc_cls(x) if self.with_cls else None, self.fc_reg(x) if self.with_reg else None

    def _get_target_single(
        self,
        pos_bboxes: Tensor,
        neg_bboxes: Tensor,
        pos_gt_bboxes: Tensor,
        pos_gt_labels: Tensor,
        img_metas: ImgMeta | None = None,
        cfg: Any = None,
    ) -> Targets:
        """Targets of one image's sampled boxes, positives first.

        Subclasses may override it with this signature or without ``img_metas``.

        Args:
            pos_bboxes, neg_bboxes: (p, 4) and (q, 4) px.
            pos_gt_bboxes, pos_gt_labels: (p, 4) px and (p,) in ``[0, K)``, the objects that the positives belong to.
            img_metas: meta information of this image; unused here.
            cfg: has ``pos_weight``, the label weight of positives; <= 0 means 1. With five positional arguments the
                fifth is ``cfg``.

        Returns:
            labels (p + q,) in ``[0, K]``, label weights (p + q,), box targets (p + q, 4), box weights (p + q, 4).
        """
        cfg = img_metas if cfg is None else cfg
        pos_targets = pos_gt_bboxes if self.reg_decoded_bbox else self.bbox_coder.encode(pos_bboxes, pos_gt_bboxes)
        return positives_first(pos_gt_labels, pos_targets, len(neg_bboxes), self.num_classes, cfg.pos_weight)

    def _image_targets(self, sampling_result: Any, img_meta: ImgMeta | None, cfg: Any) -> Targets:
        """:meth:`_get_target_single` for one sampling result, with ``img_meta`` where the method takes it."""
        boxes = (
            sampling_result.pos_bboxes,
            sampling_result.neg_bboxes,
            sampling_result.pos_gt_bboxes,
            sampling_result.pos_gt_labels,
        )
        if takes_img_metas(self._get_target_single):
            return self._get_target_single(*boxes, img_meta, cfg)
        return self._get_target_single(*boxes, cfg)

    def get_targets(
        self,
        sampling_results: Sequence[Any],
        gt_bboxes: Sequence[Tensor],
        gt_labels: Sequence[Tensor],
        rcnn_train_cfg: Any,
        concat: bool = True,
        img_metas: Sequence[ImgMeta] | None = None,
    ) -> Targets | tuple[Any, ...]:
        """Targets of the sampled boxes of a batch.

        Args:
            sampling_results: one for each of N images.
            gt_bboxes: N times (g_i, 4) px; only policies that look at overlaps need them.
            gt_labels: not used; the sampling results hold what is needed.
            rcnn_train_cfg: has ``pos_weight``.
            concat: join the images.
            img_metas: meta information of each image; None or empty: there is none.

        Returns:
            labels (n,), label weights (n,), box targets (n, 4), box weights (n, 4); lists of N such tensors without
            ``concat``.

        Raises:
            ValueError: ``img_metas`` are neither none nor one for each image.
        """
        metas: list[ImgMeta | None] = [*img_metas] if img_metas else [None] * len(sampling_results)
        if len(metas) != len(sampling_results):
            raise ValueError(f'img_metas: expected {len(sampling_results)}, one for each image, got {len(metas)}')
        cfgs = [rcnn_train_cfg] * len(sampling_results)
        parts = multi_apply(self._image_targets, sampling_results, metas, cfgs)
        counts = [len(labels) for labels in parts[0]]
        batch, rest = Targets(*map(torch.cat, parts[:4])), tuple(map(torch.cat, parts[4:]))
        targets = self.weigh_rows(
            batch,
            images_of_rows(counts, batch.labels.device),
            img_metas,
            lambda i: greatest_overlaps(self._row_boxes(sampling_results[i]), gt_bboxes[i]),
            objects=lambda: torch.cat([self._row_objects(result) for result in sampling_results]),
        )
        if concat:
            return (*targets, *rest) if rest else targets
        joined: tuple[Tensor, ...] = (*targets, *rest)
        return tuple(list(part.split(counts)) for part in joined)

    def _row_boxes(self, sampling_result: Any) -> Tensor:
        """Boxes (n_i, 4) px of the rows of one image's targets."""
        return sampling_result.bboxes

    def _row_objects(self, sampling_result: Any) -> Tensor:
        """(n_i,) numbers of the objects of these rows, read of positives."""
        return objects_of_sample(sampling_result)

    def loss(
        self,
        cls_score: Tensor | None,
        bbox_pred: Tensor | None,
        rois: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        bbox_targets: Tensor | None,
        bbox_weights: Tensor | None,
        reduction_override: str | None = None,
        valid: Tensor | None = None,
        img_metas: Sequence[ImgMeta] | None = None,
    ) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            cls_score: (n, K + 1) logits, or None.
            bbox_pred: (n, 4 K) or (n, 4) codes, or None.
            rois: (n, 5), image index, then xyxy px.
            labels, label_weights, bbox_targets, bbox_weights: of :meth:`get_targets`.
            reduction_override: reduction in place of the losses' own.
            valid: (n,) bool; the other rows, without weight, only fill the tensors up. With it, nothing is computed
                whose shape the values decide.
            img_metas: meta information of the N images of ``rois``; None: there is none.

        Returns:
            ``loss_cls`` and ``acc`` (percent, not weighted), or what a custom loss names them; ``loss_bbox``. All
            are there whatever was sampled: without boxes they are zeros in the graph of the predictions.
        """
        losses: dict[str, Tensor] = {}
        if cls_score is not None:
            if img_metas:
                rows = cls_score, labels, label_weights, rois[:, 0].long()
                cls_score, label_weights = self.row_scores_for_loss(*rows, img_metas)
            losses |= class_losses_of(self, cls_score, labels, label_weights, reduction_override, valid)
        if bbox_pred is not None:
            assert bbox_targets is not None and bbox_weights is not None, 'bbox_pred came without targets and weights'
            of_boxes = bbox_pred, rois, labels, bbox_targets, bbox_weights
            losses['loss_bbox'] = box_loss(self, *of_boxes, reduction_override, valid)
        return losses

    def get_bboxes(
        self,
        rois: Tensor,
        cls_score: Tensor | Sequence[Tensor] | None,
        bbox_pred: Tensor | None,
        img_shape: Sequence[int] | None,
        scale_factor: Any,
        rescale: bool = False,
        cfg: Any = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Detections of one image.

        Args:
            rois: (n, 5), image index, then xyxy px; n may be 0.
            cls_score: (n, K + 1) logits; of several, the mean is taken.
            bbox_pred: (n, 4 K) or (n, 4) codes; None keeps the RoIs.
            img_shape: (h, w, c) of the image; boxes are clipped to it.
            scale_factor: network input / original image, a number or (w, h, w, h).
            rescale: give boxes in px of the original image.
            cfg: has ``score_thr``, ``nms`` and ``max_per_img``; None leaves out suppression.

        Returns:
            Detections (k, 5) with their scores and labels (k,); without ``cfg`` boxes (n, 4 K) or (n, 4) and scores
            (n, K + 1).
        """
        cls_score = mean_of(cls_score)
        scores = None if cls_score is None else self._scores(cls_score)
        if bbox_pred is not None:
            bboxes = self.bbox_coder.decode(rois[:, 1:], bbox_pred, max_shape=img_shape)
        else:
            bboxes = rois[:, 1:].clone() if img_shape is None else clip_boxes(rois[:, 1:], img_shape)
        return detections(bboxes, scores, scale_factor, rescale, cfg)

    def onnx_export(
        self,
        rois: Tensor,
        cls_score: Tensor,
        bbox_pred: Tensor,
        img_shape: Sequence[int],
        cfg: Any = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor]:
        """:meth:`get_bboxes` of N images with n RoIs each.

        Args:
            rois, cls_score, bbox_pred, cfg: see :meth:`get_bboxes`; (N, n, ...).
            img_shape: (h, w) px that bounds the boxes of all images.
            kwargs: not used.

        Returns:
            boxes with scores (N, k, 5), labels (N, k), -1 in rows that only fill up; without ``cfg`` boxes (N, n, 4 K)
            or (N, n, 4) and scores (N, n, K + 1).
        """
        images: list[Any] = [
            self.get_bboxes(*image, img_shape, scale_factor=1.0, cfg=cfg) for image in zip(rois, cls_score, bbox_pred)
        ]
        if cfg is not None:
            return stack_detections(images, detection_limit(cfg))
        boxes, scores = map(torch.stack, zip(*images))
        return boxes, scores

    def _scores(self, cls_score: Tensor) -> Tensor:
        """Logits (n, K + 1) -> scores in [0, 1] of that shape."""
        return self.loss_cls.get_activation(cls_score) if self.custom_activation else F.softmax(cls_score, dim=-1)

    @torch.no_grad()
    def refine_bboxes(
        self,
        rois: Tensor,
        labels: Tensor,
        bbox_preds: Tensor,
        pos_is_gts: Sequence[Tensor],
        img_metas: Sequence[ImgMeta],
    ) -> list[Tensor]:
        """Regressed boxes of a training batch, as proposals of the next stage.

        Args:
            rois: (n, 5), image index, then xyxy px; in each image the positives come first.
            labels: (n,) in ``[0, K)``; only used where boxes are class-wise.
            bbox_preds: (n, 4 K) or (n, 4) codes.
            pos_is_gts: for each of N images, 1 where a positive is a ground-truth box; those are left out.
            img_metas: has ``img_shape`` of each image.

        Returns:
            N times (m_i, 4).
        """
        rows_of_images = zip(refined_rows(rois, pos_is_gts), img_metas)
        return [
            self.regress_by_class(rois[rows, 1:], labels[rows], bbox_preds[rows], meta) for rows, meta in rows_of_images
        ]

    def regress_by_class(self, rois: Tensor, label: Tensor, bbox_pred: Tensor, img_meta: ImgMeta) -> Tensor:
        """Boxes of each RoI for its label, clipped to the image.

        Args:
            rois: (n, 4) px, or (n, 5) with the image index first.
            label: (n,) in ``[0, K)``.
            bbox_pred: (n, 4 K) or (n, 4) codes.
            img_meta: has ``img_shape``.

        Returns:
            New RoIs, shaped like ``rois``.

        Raises:
            ValueError: ``rois`` has neither 4 nor 5 columns.
        """

        def decode(boxes: Tensor) -> Tensor:
            codes = bbox_pred if self.reg_class_agnostic else boxes_of_labels(bbox_pred, label)
            return self.bbox_coder.decode(boxes, codes, max_shape=img_meta['img_shape'])

        return moved_rois(rois, decode)
