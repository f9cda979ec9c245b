"""Side-aware boundary localisation in one stage (SABL, https://arxiv.org/abs/1912.04260).

There is one square a cell. Each side of its object's box lies in one of S buckets; the head predicts which, and where
in it. Whether a square is positive is decided by its approximations, as in guided anchoring.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from mmcv import ConfigDict
from torch import Tensor, nn

from mmdet.core.anchor.builder import build_prior_generator
from mmdet.core.bbox.builder import build_assigner, build_bbox_coder
from mmdet.core.bbox.coder.bucketing_bbox_coder import joined_targets, split_targets
from mmdet.core.bbox.iou_calculators.iou2d_calculator import greatest_overlaps
from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets, matched_objects, targets_of_sample
from mmdet.core.utils.misc import multi_apply, select_single_mlvl
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.dense_heads.dense_test_mixins import BBoxTestMixin
from mmdet.models.dense_heads.functional.guided.guided_targets import sample_squares, sampled_approxs
from mmdet.models.dense_heads.functional.matching import LOSSES_OVER_ALL_ANCHORS, sampler_or_all
from mmdet.models.dense_heads.functional.old_names import old_name
from mmdet.models.dense_heads.functional.rows import (
    rows_of_level,
    sample_counts,
    sizes_of_maps,
    to_full_precision,
)
from mmdet.models.dense_heads.functional.towers import FOCAL_LOSS, conv_tower, rare_classes
from mmdet.models.utils.settings import as_config

# Default arguments; every builder copies them.
RARE_CLASSES = rare_classes('retina_cls')
APPROXIMATIONS = dict(
    type='AnchorGenerator',
    octave_base_scale=4,
    scales_per_octave=3,
    ratios=(0.5, 1.0, 2.0),
    strides=(8, 16, 32, 64, 128),
)
SQUARES = dict(type='AnchorGenerator', ratios=(1.0,), scales=(4,), strides=(8, 16, 32, 64, 128))
BUCKETS = dict(type='BucketingBBoxCoder', num_buckets=14, scale_factor=3.0)
BUCKET_LOSS = dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.5)
OFFSET_LOSS = dict(type='SmoothL1Loss', beta=1.0 / 9.0, loss_weight=1.5)

BucketMaps = tuple[Tensor, Tensor]  # of a level: bucket logits and offsets, (N, 4 * S, H, W) each


@HEADS.register_module()
class SABLRetinaHead(BaseDenseHead, BBoxTestMixin):
    """Class scores, bucket logits and offsets of the four sides for every square, after two towers of convolutions.

    Args:
        num_classes: K, without background.
        in_channels: channels of the feature maps.
        stacked_convs: 3x3 convolutions in each tower.
        feat_channels: channels inside the head.
        approx_anchor_generator: config of the generator of approximations.
        square_anchor_generator: config of the generator of squares; one a cell.
        conv_cfg: kind of the towers' convolutions; None: ``Conv2d``.
        norm_cfg: normalisation after each; None: none.
        bbox_coder: config of the coder between squares and boxes.
        reg_decoded_bbox: must be False: buckets are not boxes.
        train_cfg: keys ``assigner`` (an ``ApproxMaxIoUAssigner``), ``sampler`` (absent: every square counts),
            ``allowed_border``, ``pos_weight``.
        test_cfg: keys ``nms_pre`` (a level), ``score_thr``, ``nms``, ``max_per_img``.
        loss_cls: config of the classification loss.
        loss_bbox_cls: config of the loss of the buckets.
        loss_bbox_reg: config of the loss of the offsets.
        init_cfg: initialisation of the weights.

    Raises:
        ValueError: ``reg_decoded_bbox`` is asked for, or there is not one square a cell.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        stacked_convs: int = 4,
        feat_channels: int = 256,
        approx_anchor_generator: dict = APPROXIMATIONS,
        square_anchor_generator: dict = SQUARES,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        bbox_coder: dict = BUCKETS,
        reg_decoded_bbox: bool = False,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        loss_cls: dict = FOCAL_LOSS,
        loss_bbox_cls: dict = BUCKET_LOSS,
        loss_bbox_reg: dict = OFFSET_LOSS,
        init_cfg: dict | list | None = RARE_CLASSES,
    ) -> None:
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.stacked_convs = stacked_convs
        self.feat_channels = feat_channels
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self.approx_anchor_generator = build_prior_generator(approx_anchor_generator)
        self.square_anchor_generator = self.prior_generator = build_prior_generator(square_anchor_generator)
        self.approxs_per_octave = self.approx_anchor_generator.num_base_priors[0]
        self.num_base_priors = self.square_anchor_generator.num_base_priors[0]
        if reg_decoded_bbox or self.num_base_priors != 1:
            raise ValueError(
                f'SABLRetinaHead needs reg_decoded_bbox=False and one square a cell, got {reg_decoded_bbox} and '
                f'{self.num_base_priors}'
            )
        self.reg_decoded_bbox = reg_decoded_bbox
        self.bbox_coder = build_bbox_coder(bbox_coder)
        self.num_buckets = self.bbox_coder.num_buckets
        self.side_num = math.ceil(self.num_buckets / 2)
        self.reg_width = 8 * self.side_num  # buckets and offsets of four sides
        self.use_sigmoid_cls = loss_cls.get('use_sigmoid', False)
        self.cls_out_channels = num_classes if self.use_sigmoid_cls else num_classes + 1
        self.loss_cls = build_loss(loss_cls)
        self.loss_bbox_cls = build_loss(loss_bbox_cls)
        self.loss_bbox_reg = build_loss(loss_bbox_reg)
        self.train_cfg = as_config(train_cfg)
        self.test_cfg = as_config(test_cfg)
        self.sampling = loss_cls['type'] not in LOSSES_OVER_ALL_ANCHORS
        self._init_assigner()
        self._init_layers()

    def _init_assigner(self) -> None:
        if self.train_cfg:
            self.assigner = build_assigner(self.train_cfg.assigner)
            self.sampler = sampler_or_all(self, self.train_cfg.get('sampler') if self.sampling else None)

    num_anchors = old_name('num_anchors', 'num_base_priors')

    def _init_layers(self) -> None:
        self.relu = nn.ReLU(inplace=True)
        tower = (self.in_channels, self.feat_channels, self.stacked_convs, self.conv_cfg, self.norm_cfg)
        self.cls_convs, self.reg_convs = conv_tower(*tower), conv_tower(*tower)
        self.retina_cls = nn.Conv2d(self.feat_channels, self.cls_out_channels, 3, padding=1)
        self.retina_bbox_reg = nn.Conv2d(self.feat_channels, self.side_num * 4, 3, padding=1)
        self.retina_bbox_cls = nn.Conv2d(self.feat_channels, self.side_num * 4, 3, padding=1)

    def forward_single(self, x: Tensor) -> tuple[Tensor, BucketMaps]:
        """One level (N, in_channels, H, W) -> class scores (N, C, H, W), (bucket logits, offsets)."""
        cls_feat = reg_feat = x
        for cls_conv, reg_conv in zip(self.cls_convs, self.reg_convs):
            cls_feat, reg_feat = cls_conv(cls_feat), reg_conv(reg_feat)
        return self.retina_cls(cls_feat), (self.retina_bbox_cls(reg_feat), self.retina_bbox_reg(reg_feat))

    def get_anchors(
        self, featmap_sizes: Sequence[tuple[int, int]], img_metas: list[ImgMeta], device: str | torch.device = 'cuda'
    ) -> list[list[Tensor]]:
        """Squares of each image, N times L times (H * W, 4), the N lists being one object."""
        return [self.square_anchor_generator.grid_priors(featmap_sizes, device=device)] * len(img_metas)

    def get_target(
        self,
        approx_list: list[list[Tensor]],
        inside_flag_list: list[list[Tensor]],
        square_list: list[list[Tensor]],
        gt_bboxes_list: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore_list: list[Tensor] | None = None,
        gt_labels_list: list[Tensor] | None = None,
        label_channels: int | None = None,
        sampling: bool = True,
        unmap_outputs: bool = True,
    ) -> tuple:
        """Targets of a batch, by level.

        Args:
            approx_list: N times L times (H * W * approxs, 4).
            inside_flag_list: N times L times bool (H * W,), which squares count.
            square_list: N times L times (H * W, 4).
            sampling: handed on; the other arguments are as of :meth:`AnchorHead.get_targets`.

        Returns:
            labels, label weights (L times (N, H * W)); bucket targets, their weights, offset targets, their weights
            (L times (N, H * W, 4 * S)); the numbers of positives and of negatives in the batch (each image counts at
            least one of both).
        """
        num_imgs, level_sizes = len(img_metas), [len(squares) for squares in square_list[0]]
        *targets, pos_inds, neg_inds, sampled = multi_apply(
            self._get_target_single,
            [torch.cat(levels) for levels in approx_list],
            [torch.cat(levels) for levels in inside_flag_list],
            [torch.cat(levels) for levels in square_list],
            gt_bboxes_list,
            gt_bboxes_ignore_list or [None] * num_imgs,
            gt_labels_list or [None] * num_imgs,
            img_metas,
            label_channels=label_channels,
            sampling=sampling,
            unmap_outputs=unmap_outputs,
        )
        counts = sample_counts(pos_inds, neg_inds)
        labels, label_weights, buckets, bucket_weights, offsets, offset_weights = map(torch.stack, targets)
        batch = Targets(
            labels, label_weights, torch.cat([buckets, offsets], 2), torch.cat([bucket_weights, offset_weights], 2)
        )
        weighed = self.weigh(
            batch,
            img_metas,
            lambda i: greatest_overlaps(torch.cat(square_list[i]), gt_bboxes_list[i]),
            objects=lambda: matched_objects(labels, self.num_classes, sampled),
        )
        return (*(list(part.split(level_sizes, dim=1)) for part in split_targets(weighed)), *counts)

    def _get_target_single(
        self,
        flat_approxs: Tensor,
        inside_flags: Tensor,
        flat_squares: Tensor,
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None,
        gt_labels: Tensor | None,
        img_meta: ImgMeta,
        label_channels: int | None = None,
        sampling: bool = True,
        unmap_outputs: bool = True,
    ) -> tuple[Tensor, ...]:
        """Targets of one image, as of :meth:`get_target`, indices of positives and of negatives, and the sample.

        ``label_channels`` is for subclasses; ``sampling`` is not used, as the sampler decides.
        """
        image = (flat_approxs, inside_flags, flat_squares, gt_bboxes, gt_bboxes_ignore, img_meta)
        sampled, rows, count = sample_squares(*image, self.assigner, self.sampler, unmap_outputs)
        values, weights = joined_targets(self.bbox_coder, sampled.pos_bboxes, sampled.pos_gt_bboxes)
        pos_weight = self.train_cfg.get('pos_weight', -1)
        samples = (count, rows, sampled, gt_labels, values)
        targets = targets_of_sample(*samples, self.num_classes, pos_weight, weights)
        return (*split_targets(targets), sampled.pos_inds, sampled.neg_inds, sampled)

    def loss_single(
        self,
        cls_score: Tensor,
        bbox_pred: BucketMaps,
        labels: Tensor,
        label_weights: Tensor,
        bbox_cls_targets: Tensor,
        bbox_cls_weights: Tensor,
        bbox_reg_targets: Tensor,
        bbox_reg_weights: Tensor,
        num_total_samples: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Losses of classes, buckets and offsets of one level; shapes as of :meth:`forward` and :meth:`get_target`."""
        width = 4 * self.side_num
        scores = rows_of_level(cls_score, self.cls_out_channels)
        buckets, offsets = (rows_of_level(level, width) for level in bbox_pred)
        loss_cls = self.loss_cls(scores, labels.reshape(-1), label_weights.reshape(-1), avg_factor=num_total_samples)
        loss_bbox_cls = self.loss_bbox_cls(
            buckets,
            bbox_cls_targets.reshape(-1, width).long(),
            bbox_cls_weights.reshape(-1, width),
            avg_factor=num_total_samples * width,
        )
        loss_bbox_reg = self.loss_bbox_reg(
            offsets,
            bbox_reg_targets.reshape(-1, width),
            bbox_reg_weights.reshape(-1, width),
            avg_factor=num_total_samples * 4 * self.bbox_coder.offset_topk,
        )
        return loss_cls, loss_bbox_cls, loss_bbox_reg

    def loss(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[BucketMaps],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, list[Tensor]]:
        """``loss_cls``, ``loss_bbox_cls`` and ``loss_bbox_reg``, one tensor a level each.

        Args:
            cls_scores: L maps (N, C, H, W).
            bbox_preds: L pairs of maps (N, 4 * S, H, W).
            gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore: as of :meth:`AnchorHead.loss`.
        """
        buckets, offsets = map(to_full_precision, zip(*bbox_preds))
        cls_scores, bbox_preds = to_full_precision(cls_scores), list(zip(buckets, offsets))
        sizes, device = sizes_of_maps(cls_scores), cls_scores[0].device
        border = self.train_cfg.allowed_border
        approxs, inside = sampled_approxs(self.approx_anchor_generator, sizes, img_metas, border, device)
        squares = self.get_anchors(sizes, img_metas, device=device)
        options: Any = dict(gt_bboxes_ignore_list=gt_bboxes_ignore, gt_labels_list=gt_labels, sampling=self.sampling)
        options['label_channels'] = self.cls_out_channels if self.use_sigmoid_cls else 1
        *targets, num_pos, num_neg = self.get_target(approxs, inside, squares, gt_bboxes, img_metas, **options)
        cls_scores, targets[1] = self.score_maps_for_loss(cls_scores, targets[0], targets[1], img_metas)
        count = num_pos + num_neg if self.sampling else num_pos
        losses = multi_apply(self.loss_single, cls_scores, bbox_preds, *targets, num_total_samples=count)
        return dict(zip(('loss_cls', 'loss_bbox_cls', 'loss_bbox_reg'), losses))

    def get_bboxes(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[BucketMaps],
        img_metas: list[ImgMeta],
        cfg: dict | None = None,
        rescale: bool = False,
    ) -> list[tuple[Tensor, ...]]:
        """Detections of each image: boxes with scores (k, 5), labels (k,); see :meth:`BaseDenseHead.get_bboxes`."""
        cls_scores, buckets, offsets = map(to_full_precision, (cls_scores, *zip(*bbox_preds)))
        squares = self.square_anchor_generator.grid_priors(sizes_of_maps(cls_scores), device=cls_scores[0].device)
        return [
            self._get_bboxes_single(
                select_single_mlvl(cls_scores, i),
                select_single_mlvl(buckets, i),
                select_single_mlvl(offsets, i),
                squares,
                meta['img_shape'],
                meta['scale_factor'],
                as_config(self.test_cfg if cfg is None else cfg),
                rescale,
            )
            for i, meta in enumerate(img_metas)
        ]

    def _get_bboxes_single(
        self,
        cls_scores: list[Tensor],
        bbox_cls_preds: list[Tensor],
        bbox_reg_preds: list[Tensor],
        mlvl_anchors: list[Tensor],
        img_shape: tuple[int, ...],
        scale_factor: Any,
        cfg: ConfigDict,
        rescale: bool = False,
    ) -> tuple[Tensor, ...]:
        """Detections of one image, their scores multiplied by the confidence of the buckets.

        Args:
            cls_scores: L maps (C, H, W).
            bbox_cls_preds, bbox_reg_preds: L maps (4 * S, H, W).
            mlvl_anchors: L times (H * W, 4).
            img_shape: height and width that bound the boxes, pixels.
            scale_factor, cfg, rescale: as of :meth:`BaseDenseHead._bbox_post_process`.
        """
        results = []
        for scores, buckets, offsets, squares in zip(cls_scores, bbox_cls_preds, bbox_reg_preds, mlvl_anchors):
            best, labels, kept = self._best_of_level(scores, torch.cat([buckets, offsets]), None, squares, cfg)
            predicted = kept['deltas'].chunk(2, dim=1)
            results.append((best, labels, *self.bbox_coder.decode(kept['priors'], predicted, max_shape=img_shape)))
        of_levels, found, boxes, confidences = (list(kind) for kind in zip(*results))
        return self._bbox_post_process(of_levels, found, boxes, scale_factor, cfg, rescale, True, confidences)
