"""YOLACT: boxes with coefficients, and prototypes that the coefficients mix to masks (arXiv:1904.02689)."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmcv.runner import ModuleList
from torch import Tensor, nn

from mmdet.core.img_meta import ImgMeta
from mmdet.core.post_processing.bbox_nms import fast_nms
from mmdet.core.utils.misc import multi_apply, select_single_mlvl
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.anchor_head import AnchorHead
from mmdet.models.dense_heads.functional.decoding import best_boxes, with_background
from mmdet.models.dense_heads.functional.rows import flatten_map, rows_of_images, sizes_of_maps, to_full_precision
from mmdet.models.dense_heads.ssd_head import hardest_negatives
from mmdet.models.dense_heads.yolact_mask_heads import InterpolateModule, YOLACTProtonet, YOLACTSegmHead
from mmdet.models.utils.settings import as_config
from mmdet.utils.running.device_copy import tensor_like

# Default arguments; every builder copies them.
YOLACT_ANCHORS = dict(
    type='AnchorGenerator',
    octave_base_scale=3,
    scales_per_octave=1,
    ratios=[0.5, 1.0, 2.0],
    strides=[8, 16, 32, 64, 128],
)
SOFTMAX_LOSS = dict(type='CrossEntropyLoss', use_sigmoid=False, reduction='none', loss_weight=1.0)
SMOOTH_LOSS = dict(type='SmoothL1Loss', beta=1.0, loss_weight=1.5)
XAVIER = dict(type='Xavier', distribution='uniform', bias=0, layer='Conv2d')


@HEADS.register_module()
class YOLACTHead(AnchorHead):
    """Class scores with background, box deltas and mask coefficients for every anchor.

    Args:
        num_classes: K, without background.
        in_channels: channels of the feature maps.
        anchor_generator: config of the prior generator.
        loss_cls: config of the classification loss; without reduction where ``use_ohem``.
        loss_bbox: config of the box loss.
        num_head_convs: 3x3 convolutions that all predictions share.
        num_protos: coefficients of an anchor.
        use_ohem: of the negatives only the hardest count, ``train_cfg.neg_pos_ratio`` for each positive.
        conv_cfg: kind of the convolutions; None: ``Conv2d``.
        norm_cfg: normalisation after each; None: none.
        init_cfg: initialisation of the weights.
        kwargs: other arguments of :class:`AnchorHead`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        anchor_generator: dict = YOLACT_ANCHORS,
        loss_cls: dict = SOFTMAX_LOSS,
        loss_bbox: dict = SMOOTH_LOSS,
        num_head_convs: int = 1,
        num_protos: int = 32,
        use_ohem: bool = True,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        init_cfg: dict | list | None = XAVIER,
        **kwargs: Any,
    ) -> None:
        self.num_head_convs = num_head_convs
        self.num_protos = num_protos
        self.use_ohem = use_ohem
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        super().__init__(
            num_classes,
            in_channels,
            loss_cls=loss_cls,
            loss_bbox=loss_bbox,
            anchor_generator=anchor_generator,
            init_cfg=init_cfg,
            **kwargs,
        )

    def _init_layers(self) -> None:
        self.relu = nn.ReLU(inplace=True)
        self.head_convs = ModuleList(
            ConvModule(
                self.feat_channels if i else self.in_channels,
                self.feat_channels,
                3,
                padding=1,
                conv_cfg=self.conv_cfg,
                norm_cfg=self.norm_cfg,
            )
            for i in range(self.num_head_convs)
        )
        self.conv_cls, self.conv_reg, self.conv_coeff = (
            nn.Conv2d(self.feat_channels, self.num_base_priors * width, 3, padding=1)
            for width in (self.cls_out_channels, 4, self.num_protos)
        )

    def forward_single(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One level (N, in_channels, H, W) -> class scores, box deltas and coefficients in [-1, 1].

        Their shapes are (N, A * C, H, W), (N, A * 4, H, W) and (N, A * num_protos, H, W).
        """
        for layer in self.head_convs:
            x = layer(x)
        return self.conv_cls(x), self.conv_reg(x), self.conv_coeff(x).tanh()

    def loss(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> tuple[dict[str, list[Tensor]], list]:
        """``loss_cls`` and ``loss_bbox``, one tensor an image (with ``use_ohem``) or a level; sampling results.

        Arguments as of :meth:`AnchorHead.loss`.
        """
        cls_scores, bbox_preds = to_full_precision(cls_scores), to_full_precision(bbox_preds)
        truth = (gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore)
        anchors, found = self.targets_of_maps(cls_scores, *truth, return_sampling_results=True)
        *targets, num_pos, num_neg, sampling_results = found
        cls_scores, targets[1] = self.score_maps_for_loss(cls_scores, targets[0], targets[1], img_metas)
        if self.use_ohem:
            maps = (
                rows_of_images(levels, width)
                for levels, width in ((cls_scores, self.cls_out_channels), (bbox_preds, 4))
            )
            rows = (torch.cat(target, dim=1) for target in targets)
            flat_anchors = [torch.cat(image) for image in anchors]
            single: Any = self.loss_single_OHEM
            inputs: tuple[Any, ...] = (*maps, flat_anchors, *rows)
            divisor = num_pos
        else:
            stacked = [torch.stack(level) for level in zip(*anchors)]
            single, inputs = self.loss_single, (cls_scores, bbox_preds, stacked, *targets)
            divisor = num_pos + num_neg if self.sampling else num_pos
        losses_cls, losses_bbox = multi_apply(single, *inputs, num_total_samples=divisor)
        return dict(loss_cls=losses_cls, loss_bbox=losses_bbox), sampling_results

    def loss_single_OHEM(
        self,
        cls_score: Tensor,
        bbox_pred: Tensor,
        anchors: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        bbox_targets: Tensor,
        bbox_weights: Tensor,
        num_total_samples: int,
    ) -> tuple[Tensor, Tensor]:
        """Losses of one image; of its negatives only the hardest count, and all where it has no positive.

        Args:
            cls_score: (R, C).
            bbox_pred: (R, 4).
            anchors: (R, 4).
            labels: (R,).
            label_weights: (R,).
            bbox_targets: (R, 4).
            bbox_weights: (R, 4).
            num_total_samples: divisor.

        Returns:
            classification loss (1,) and box loss.
        """
        losses = self.loss_cls(cls_score, labels, label_weights, reduction_override='none')
        if (labels < self.num_classes).any():
            loss_cls = hardest_negatives(losses, labels, self.num_classes, self.train_cfg.neg_pos_ratio)
        else:
            loss_cls = losses.sum()
        if self.reg_decoded_bbox:
            bbox_pred = self.bbox_coder.decode(anchors, bbox_pred)
        loss_bbox = self.loss_bbox(bbox_pred, bbox_targets, bbox_weights, avg_factor=num_total_samples)
        return loss_cls[None] / num_total_samples, loss_bbox

    def get_bboxes(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        coeff_preds: Sequence[Tensor],
        img_metas: list[ImgMeta],
        cfg: dict | None = None,
        rescale: bool = False,
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Maps to boxes with scores (k, 5), labels (k,) and coefficients (k, num_protos) of each image.

        Args:
            cls_scores: L maps (N, A * C, H, W).
            bbox_preds: L maps (N, A * 4, H, W).
            coeff_preds: L maps (N, A * num_protos, H, W).
            img_metas: meta information of the N images.
            cfg: keys ``nms_pre`` (a level), ``score_thr``, ``iou_thr``, ``top_k``, ``max_per_img``; None: ``test_cfg``.
            rescale: give boxes in pixels of the original image.
        """
        maps = [to_full_precision(levels) for levels in (cls_scores, bbox_preds, coeff_preds)]
        sizes = sizes_of_maps(cls_scores)
        anchors = self.prior_generator.grid_priors(sizes, dtype=maps[0][0].dtype, device=maps[0][0].device)
        cfg = as_config(self.test_cfg if cfg is None else cfg)
        return [
            self._get_bboxes_single(
                select_single_mlvl(maps[0], i),
                select_single_mlvl(maps[1], i),
                select_single_mlvl(maps[2], i),
                anchors,
                meta['img_shape'],
                meta.get('scale_factor'),
                cfg,
                rescale,
            )
            for i, meta in enumerate(img_metas)
        ]

    def _get_bboxes_single(
        self,
        cls_score_list: list[Tensor],
        bbox_pred_list: list[Tensor],
        coeff_preds_list: list[Tensor],
        mlvl_anchors: list[Tensor],
        img_shape: tuple[int, ...],
        scale_factor: Any,
        cfg: Any,
        rescale: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes of one image, from its maps of each level; see :meth:`get_bboxes`."""
        levels = (
            (
                self._class_scores(flatten_map(scores, self.cls_out_channels)),
                flatten_map(deltas, 4),
                anchors,
                flatten_map(coeffs, self.num_protos),
            )
            for scores, deltas, coeffs, anchors in zip(cls_score_list, bbox_pred_list, coeff_preds_list, mlvl_anchors)
        )
        scores, boxes, coeffs = best_boxes(levels, self.bbox_coder, cfg.get('nms_pre', -1), img_shape)
        if rescale:
            boxes = boxes / tensor_like(scale_factor, boxes)
        limits = (cfg.score_thr, cfg.iou_thr, cfg.top_k, cfg.max_per_img)
        return fast_nms(boxes, with_background(scores), coeffs, *limits)


__all__ = ['InterpolateModule', 'YOLACTHead', 'YOLACTProtonet', 'YOLACTSegmHead']
