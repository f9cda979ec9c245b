"""The box head of SABL, side-aware boundary localisation (https://arxiv.org/abs/1912.04260).

n: sampled boxes (or RoIs) of the batch; K: classes, label K being background; S: buckets of a side. The four sides of a
box come in the order left, right, top, down; values of a side run from the box's edge inwards.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmdet.core.bbox.builder import build_bbox_coder
from mmdet.core.bbox.coder.bucketing_bbox_coder import split_targets
from mmdet.core.bbox.iou_calculators.iou2d_calculator import greatest_overlaps
from mmdet.core.bbox.transforms import clip_boxes
from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets, objects_of_sample
from mmdet.core.utils.misc import images_of_rows, multi_apply
from mmdet.models.base_head import BaseHead
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.losses.accuracy import accuracy
from mmdet.models.roi_heads.bbox_heads.functional import detections, mean_of, moved_rois, refined_rows
from mmdet.models.roi_heads.bbox_heads.losses import class_losses
from mmdet.models.roi_heads.bbox_heads.sabl_functional import (
    Pair,
    axis_means,
    bucket_losses,
    bucket_targets,
    default_init_cfg,
    fc_branch,
    halves_of,
    side_layers,
    split_sides,
)

# Defaults of the constructor, which are part of its signature; never written to.
BBOX_CODER = dict(type='BucketingBBoxCoder', num_buckets=14, scale_factor=1.7)
LOSS_CLS = dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)
LOSS_BBOX_CLS = dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0)
LOSS_BBOX_REG = dict(type='SmoothL1Loss', beta=0.1, loss_weight=1.0)


@HEADS.register_module()
class SABLHead(BaseHead):
    """Says for each side of a box in which bucket it lies, and where in it.

    Args:
        num_classes: number of classes K, without background.
        cls_in_channels, reg_in_channels: channels of the RoI features, for the two branches.
        roi_feat_size: height and width of the RoI features.
        reg_feat_up_ratio: the features of the sides are upsampled by this, to the coder's number of buckets.
        reg_pre_kernel, reg_pre_num: kernel and number of the convolutions before the features are split by side.
        reg_post_kernel, reg_post_num: the same for those, one-dimensional, afterwards.
        cls_out_channels: features of the fully connected layers of the classification.
        reg_offset_out_channels, reg_cls_out_channels: features of those for the offsets and for the buckets.
        num_cls_fcs, num_reg_fcs: number of fully connected layers.
        reg_class_agnostic: must be True.
        norm_cfg: kind of norm of the convolutions.
        bbox_coder: a ``BucketingBBoxCoder``.
        loss_cls, loss_bbox_cls, loss_bbox_reg: losses of the classes, of the buckets and of the offsets.
        init_cfg: initialisation; by default Xavier for the box branch, normal for the predictions.

    Raises:
        ValueError: boxes for each class are asked for.
    """

    directive_head, directive_fallback = 'bbox_head', 'roi_head'

    def __init__(
        self,
        num_classes: int,
        cls_in_channels: int = 256,
        reg_in_channels: int = 256,
        roi_feat_size: int = 7,
        reg_feat_up_ratio: int = 2,
        reg_pre_kernel: int = 3,
        reg_post_kernel: int = 3,
        reg_pre_num: int = 2,
        reg_post_num: int = 1,
        cls_out_channels: int = 1024,
        reg_offset_out_channels: int = 256,
        reg_cls_out_channels: int = 256,
        num_cls_fcs: int = 1,
        num_reg_fcs: int = 0,
        reg_class_agnostic: bool = True,
        norm_cfg: dict | None = None,
        bbox_coder: dict = BBOX_CODER,
        loss_cls: dict = LOSS_CLS,
        loss_bbox_cls: dict = LOSS_BBOX_CLS,
        loss_bbox_reg: dict = LOSS_BBOX_REG,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not reg_class_agnostic:
            raise ValueError('SABLHead predicts one box for all classes: reg_class_agnostic must be True')
        self.num_classes = num_classes
        self.cls_in_channels, self.reg_in_channels = cls_in_channels, reg_in_channels
        self.cls_out_channels = cls_out_channels
        self.reg_offset_out_channels, self.reg_cls_out_channels = reg_offset_out_channels, reg_cls_out_channels
        self.num_cls_fcs, self.num_reg_fcs = num_cls_fcs, num_reg_fcs
        self.reg_class_agnostic = reg_class_agnostic
        self.roi_feat_size = int(roi_feat_size)
        self.reg_feat_up_ratio = reg_feat_up_ratio
        self.up_reg_feat_size = reg_feat_up_ratio * self.roi_feat_size
        self.reg_pre_kernel, self.reg_pre_num = reg_pre_kernel, reg_pre_num
        self.reg_post_kernel, self.reg_post_num = reg_post_kernel, reg_post_num
        self.norm_cfg = norm_cfg
        self.with_cls = self.with_reg = True
        self.bbox_coder = build_bbox_coder(bbox_coder)
        self.num_buckets = self.bbox_coder.num_buckets
        self.side_num = math.ceil(self.num_buckets / 2)
        self.loss_cls = build_loss(loss_cls)
        self.loss_bbox_cls = build_loss(loss_bbox_cls)
        self.loss_bbox_reg = build_loss(loss_bbox_reg)
        self._init_layers()
        if init_cfg is None:
            self.init_cfg = default_init_cfg(name for name, _ in self.named_children())

    def _init_layers(self) -> None:
        self.relu = nn.ReLU(inplace=True)
        size, cls_in, reg_in = self.roi_feat_size, self.cls_in_channels, self.reg_in_channels
        self.cls_fcs = self._add_fc_branch(self.num_cls_fcs, cls_in, size, self.cls_out_channels)
        self.fc_cls = nn.Linear(self.cls_out_channels if self.num_cls_fcs else cls_in * size**2, self.num_classes + 1)
        convs = (self.reg_pre_num, self.reg_pre_kernel, self.reg_post_num, self.reg_post_kernel)
        for name, layer in side_layers(reg_in, self.reg_feat_up_ratio, *convs, self.norm_cfg).items():
            self.add_module(name, layer)
        self.reg_cls_fcs = self._add_fc_branch(self.num_reg_fcs, reg_in, 1, self.reg_cls_out_channels)
        self.reg_offset_fcs = self._add_fc_branch(self.num_reg_fcs, reg_in, 1, self.reg_offset_out_channels)
        self.fc_reg_cls = nn.Linear(self.reg_cls_out_channels if self.num_reg_fcs else reg_in, 1)
        self.fc_reg_offset = nn.Linear(self.reg_offset_out_channels if self.num_reg_fcs else reg_in, 1)

    def _add_fc_branch(
        self, num_branch_fcs: int, in_channels: int, roi_feat_size: int, fc_out_channels: int
    ) -> nn.ModuleList:
        """Fully connected layers on flattened features (n, in_channels, roi_feat_size, roi_feat_size)."""
        return fc_branch(num_branch_fcs, in_channels * roi_feat_size**2, fc_out_channels)

    # the classification has K + 1 outputs, whose softmax the scores are, whatever its loss would like
    custom_cls_channels = custom_activation = custom_accuracy = False

    def forward(self, x: Tensor) -> tuple[Tensor, Pair]:
        """RoI features (n, C, h, w) -> class logits (n, K + 1), and bucket logits and offsets, (n, 4 S) each."""
        return self.cls_forward(x), self.reg_forward(x)

    def cls_forward(self, cls_x: Tensor) -> Tensor:
        """RoI features (n, C, h, w) -> class logits (n, K + 1)."""
        return self.fc_cls(self._fully_connected(cls_x.flatten(1), self.cls_fcs))

    def reg_forward(self, reg_x: Tensor) -> Pair:
        """RoI features (n, C, h, w) -> bucket logits and offsets, (n, 4 S) each."""
        predictions = [
            self.reg_pred(feat, self.reg_offset_fcs, self.reg_cls_fcs)
            for feat in self.side_aware_feature_extractor(reg_x)
        ]
        offsets, buckets = (
            torch.cat([self.side_aware_split(axis) for axis in both_axes], dim=1) for both_axes in zip(*predictions)
        )
        return buckets, offsets

    def side_aware_feature_extractor(self, reg_x: Tensor) -> Pair:
        """RoI features (n, C, h, w) -> features of the columns (n, r w, C) and of the rows (n, r h, C), r the ratio."""
        for conv in self.reg_pre_convs:
            reg_x = conv(reg_x)
        columns, rows = self.attention_pool(reg_x)
        columns, rows = columns[:, :, None], rows[..., None]
        for conv in self.reg_post_conv_xs:
            columns = conv(columns)
        for conv in self.reg_post_conv_ys:
            rows = conv(rows)
        columns, rows = columns[:, :, 0], rows[..., 0]
        if self.reg_feat_up_ratio > 1:
            columns, rows = self.relu(self.upsample_x(columns)), self.relu(self.upsample_y(rows))
        return columns.transpose(1, 2), rows.transpose(1, 2)

    def attention_pool(self, reg_x: Tensor) -> Pair:
        """(n, C, h, w) -> weighted means over the rows (n, C, w) and over the columns (n, C, h)."""
        weights = self.reg_conv_att_x(reg_x).sigmoid(), self.reg_conv_att_y(reg_x).sigmoid()
        return axis_means(reg_x, *weights)

    def reg_pred(self, x: Tensor, offset_fcs: nn.ModuleList, cls_fcs: nn.ModuleList) -> Pair:
        """Features (n, L, C) at L places along an axis -> offsets and bucket logits, (n, L) each."""
        offsets = self.fc_reg_offset(self._fully_connected(x, offset_fcs))
        buckets = self.fc_reg_cls(self._fully_connected(x, cls_fcs))
        return offsets[..., 0], buckets[..., 0]

    def side_aware_split(self, feat: Tensor) -> Tensor:
        """(n, L) along an axis -> (n, 2 S): the first half, and the second from the end; they share an odd middle."""
        return split_sides(feat)

    def _fully_connected(self, x: Tensor, fcs: nn.ModuleList) -> Tensor:
        for fc in fcs:
            x = self.relu(fc(x))
        return x

    def bbox_pred_split(self, bbox_pred: Pair, num_proposals_per_img: Sequence[int]) -> tuple[Pair, ...]:
        """Predictions of a batch -> those of each image."""
        buckets, offsets = (part.split(list(num_proposals_per_img)) for part in bbox_pred)
        return tuple(zip(buckets, offsets))

    def get_targets(
        self,
        sampling_results: Sequence[Any],
        gt_bboxes: Sequence[Tensor],
        gt_labels: Sequence[Tensor],
        rcnn_train_cfg: Any,
        img_metas: Sequence[ImgMeta] | None = None,
    ) -> tuple[Tensor, Tensor, Pair, Pair]:
        """Targets of the sampled boxes of a batch; arguments as of :meth:`BBoxHead.get_targets`.

        Returns:
            Labels (n,), label weights (n,), targets of the buckets and of the offsets, and their weights.
        """
        metas: list[ImgMeta | None] = [*img_metas] if img_metas else [None] * len(sampling_results)
        images = [
            self._get_target_single(
                res.pos_bboxes, res.neg_bboxes, res.pos_gt_bboxes, res.pos_gt_labels, meta, rcnn_train_cfg
            )
            for res, meta in zip(sampling_results, metas, strict=True)
        ]
        counts = [len(labels) for labels, *_ in images]
        batch = Targets(*(torch.cat(part) for part in zip(*images)))
        labels, label_weights, targets, weights = self.weigh_rows(
            batch,
            images_of_rows(counts, batch.labels.device),
            img_metas,
            lambda i: greatest_overlaps(sampling_results[i].bboxes, gt_bboxes[i]),
            objects=lambda: torch.cat(list(map(objects_of_sample, sampling_results))),
        )
        return labels, label_weights, halves_of(targets), halves_of(weights)

    def bucket_target(
        self,
        pos_proposals_list: Sequence[Tensor],
        neg_proposals_list: Sequence[Tensor],
        pos_gt_bboxes_list: Sequence[Tensor],
        pos_gt_labels_list: Sequence[Tensor],
        rcnn_train_cfg: Any,
        concat: bool = True,
    ) -> tuple:
        """Targets of given boxes: labels, label weights, then targets and weights of buckets, the same of offsets.

        The lists have an entry for each of N images; without ``concat`` each part is a list of N tensors.
        """
        lists = pos_proposals_list, neg_proposals_list, pos_gt_bboxes_list, pos_gt_labels_list
        parts = multi_apply(self._bucket_target_single, *lists, [rcnn_train_cfg] * len(pos_proposals_list))
        return tuple(torch.cat(part) for part in parts) if concat else tuple(parts)

    def _bucket_target_single(
        self, pos_proposals: Tensor, neg_proposals: Tensor, pos_gt_bboxes: Tensor, pos_gt_labels: Tensor, cfg: Any
    ) -> tuple[Tensor, ...]:
        """Targets of one image, in the order of :meth:`bucket_target`."""
        boxes = (pos_proposals, neg_proposals, pos_gt_bboxes, pos_gt_labels)
        return split_targets(self._get_target_single(*boxes, None, cfg))

    def _get_target_single(
        self,
        pos_bboxes: Tensor,
        neg_bboxes: Tensor,
        pos_gt_bboxes: Tensor,
        pos_gt_labels: Tensor,
        img_metas: ImgMeta | None = None,
        cfg: Any = None,
    ) -> Targets:
        """Targets of one image; see :func:`bucket_targets`. ``neg_bboxes`` are (q, 4), ``img_metas`` is not used."""
        positives = (pos_bboxes, pos_gt_bboxes, pos_gt_labels)
        return bucket_targets(self.bbox_coder, *positives, len(neg_bboxes), self.num_classes, cfg.pos_weight)

    def loss(
        self,
        cls_score: Tensor | None,
        bbox_pred: Pair | None,
        rois: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        bbox_targets: Pair | None,
        bbox_weights: Pair | None,
        reduction_override: str | None = None,
        img_metas: Sequence[ImgMeta] | None = None,
    ) -> dict[str, Tensor]:
        """Losses of a batch; without boxes they are zeros in the graph of the predictions.

        Args:
            bbox_pred: bucket logits and offsets, or None; the other arguments are as of :meth:`BBoxHead.loss`.

        Returns:
            ``loss_cls`` and ``acc`` (percent), ``loss_bbox_cls`` and ``loss_bbox_reg``.
        """
        losses = {}
        if cls_score is not None:
            if img_metas:
                rows = cls_score, labels, label_weights, rois[:, 0].long()
                cls_score, label_weights = self.row_scores_for_loss(*rows, img_metas)
            rows = cls_score, labels, label_weights, self.cls_avg_factor(label_weights)
            losses.update(class_losses(self.loss_cls, *rows, reduction_override))
            losses['acc'] = accuracy(cls_score, labels)
        if bbox_pred is not None:
            assert bbox_targets is not None and bbox_weights is not None, 'bbox_pred came without targets and weights'
            of_boxes = (self.loss_bbox_cls, self.loss_bbox_reg, bbox_pred, bbox_targets, bbox_weights)
            losses.update(bucket_losses(*of_boxes, reduction_override=reduction_override))
        return losses

    def get_bboxes(
        self,
        rois: Tensor,
        cls_score: Tensor | Sequence[Tensor] | None,
        bbox_pred: Pair | None,
        img_shape: Sequence[int] | None,
        scale_factor: Any,
        rescale: bool = False,
        cfg: Any = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Detections of one image; the confidence of a box multiplies its scores.

        Arguments and results are those of :meth:`BBoxHead.get_bboxes`, with one box for each RoI; ``bbox_pred`` are
        bucket logits and offsets.
        """
        cls_score = mean_of(cls_score)
        scores = None if cls_score is None else F.softmax(cls_score, dim=1)
        if bbox_pred is not None:
            bboxes, confidences = self.bbox_coder.decode(rois[:, 1:], bbox_pred, img_shape)
        else:
            bboxes, confidences = rois[:, 1:].clone(), None
            bboxes = bboxes if img_shape is None else clip_boxes(bboxes, img_shape, offset=1)
        return detections(bboxes, scores, scale_factor, rescale, cfg, confidences)

    @torch.no_grad()
    def refine_bboxes(
        self,
        rois: Tensor,
        labels: Tensor,
        bbox_preds: Pair,
        pos_is_gts: Sequence[Tensor],
        img_metas: Sequence[ImgMeta],
    ) -> list[Tensor]:
        """Regressed boxes of a training batch, as proposals of the next stage; see :meth:`BBoxHead.refine_bboxes`."""
        return [
            self.regress_by_class(rois[rows, 1:], labels[rows], (bbox_preds[0][rows], bbox_preds[1][rows]), img_meta)
            for rows, img_meta in zip(refined_rows(rois, pos_is_gts), img_metas)
        ]

    def regress_by_class(self, rois: Tensor, label: Tensor, bbox_pred: Pair, img_meta: ImgMeta) -> Tensor:
        """As :meth:`BBoxHead.regress_by_class`; ``label`` is unused: there is one box for all classes."""
        return moved_rois(rois, lambda boxes: self.bbox_coder.decode(boxes, bbox_pred, img_meta['img_shape'])[0])
