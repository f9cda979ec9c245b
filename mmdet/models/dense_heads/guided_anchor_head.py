"""Guided anchoring: anchors whose places and shapes are predicted (https://arxiv.org/abs/1901.03278).

Squares, A of them a cell, are the priors; the predicted widths and heights make them guided anchors. An approximation
of a guided anchor is one of the boxes that a usual anchor generator puts at its place. Further legend:
``base_dense_head.py``.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from mmcv import ConfigDict
from torch import Tensor, nn

from mmdet.core.anchor.builder import build_prior_generator
from mmdet.core.bbox.assigners.assign_result import rows_of
from mmdet.core.bbox.builder import build_assigner, build_bbox_coder
from mmdet.core.img_meta import ImgMeta
from mmdet.core.utils.misc import multi_apply, select_single_mlvl
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.dense_heads.anchor_head import CLASS_LOSS, AnchorHead
from mmdet.models.dense_heads.functional.decoding import best_boxes, suppressed
from mmdet.models.dense_heads.functional.guided import guided_anchors, guided_targets
from mmdet.models.dense_heads.functional.guided.feature_adaption import FeatureAdaption
from mmdet.models.dense_heads.functional.matching import sampler_or_all
from mmdet.models.dense_heads.functional.rows import flatten_map, sizes_of_maps, to_full_precision
from mmdet.models.dense_heads.functional.towers import FOCAL_LOSS, rare_classes
from mmdet.models.utils.settings import as_config
from mmdet.ops import MaskedConv2d

# Default arguments; every builder copies them.
SHAPE_LOSS = dict(type='BoundedIoULoss', beta=0.2, loss_weight=1.0)
BOX_LOSS = dict(type='SmoothL1Loss', beta=1.0, loss_weight=1.0)
RARE_LOCATIONS = rare_classes('conv_loc')


@HEADS.register_module()
class GuidedAnchorHead(AnchorHead):
    """Predicts places and shapes of anchors, and then classes and boxes from features that fit these shapes.

    In evaluation, classes and boxes are computed only where an anchor is likely.

    Args:
        num_classes: K, without background.
        in_channels: channels of the feature maps.
        feat_channels: channels inside the head.
        approx_anchor_generator: config of the generator of approximations.
        square_anchor_generator: config of the generator of squares.
        anchor_coder: config of the coder between squares and guided anchors.
        bbox_coder: config of the coder between guided anchors and boxes.
        reg_decoded_bbox: the box loss compares boxes in pixels.
        deform_groups: of the feature adaption.
        loc_filter_thr: least probability of a place, in evaluation.
        train_cfg: as of :class:`AnchorHead`, and ``ga_assigner``, ``ga_sampler`` (absent: every square counts),
            ``center_ratio`` and ``ignore_ratio`` (see ``guided_targets.py``).
        test_cfg: keys ``nms_pre`` (a level), ``score_thr``, ``nms``, ``max_per_img``.
        loss_loc: config of the loss of places.
        loss_shape: config of the loss of shapes, on boxes in pixels.
        loss_cls: config of the classification loss.
        loss_bbox: config of the box loss.
        init_cfg: initialisation of the weights.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        feat_channels: int = 256,
        approx_anchor_generator: dict = guided_anchors.APPROXIMATIONS,
        square_anchor_generator: dict = guided_anchors.SQUARES,
        anchor_coder: dict = guided_anchors.PLAIN_CODER,
        bbox_coder: dict = guided_anchors.PLAIN_CODER,
        reg_decoded_bbox: bool = False,
        deform_groups: int = 4,
        loc_filter_thr: float = 0.01,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        loss_loc: dict = FOCAL_LOSS,
        loss_shape: dict = SHAPE_LOSS,
        loss_cls: dict = CLASS_LOSS,
        loss_bbox: dict = BOX_LOSS,
        init_cfg: dict | list | None = RARE_LOCATIONS,
    ) -> None:
        self.deform_groups = deform_groups
        self.loc_filter_thr = loc_filter_thr
        layers = (num_classes, in_channels, feat_channels, square_anchor_generator, bbox_coder, reg_decoded_bbox)
        super().__init__(*layers, loss_cls, loss_bbox, train_cfg, test_cfg, init_cfg)
        self.approx_anchor_generator = build_prior_generator(approx_anchor_generator)
        self.square_anchor_generator = self.prior_generator
        self.approxs_per_octave = self.approx_anchor_generator.num_base_priors[0]
        self.anchor_coder = build_bbox_coder(anchor_coder)
        self.loc_focal_loss = loss_loc['type'] == 'FocalLoss'
        self.loss_loc = build_loss(loss_loc)
        self.loss_shape = build_loss(loss_shape)
        self.ga_sampling = bool(self.train_cfg) and self.train_cfg.get('ga_sampler') is not None
        if self.train_cfg:
            self.ga_assigner = build_assigner(self.train_cfg.ga_assigner)
            self.ga_sampler = sampler_or_all(self, self.train_cfg.get('ga_sampler'))

    def _init_layers(self) -> None:
        self.relu = nn.ReLU(inplace=True)
        self.conv_loc = nn.Conv2d(self.in_channels, 1, 1)
        self.conv_shape = nn.Conv2d(self.in_channels, self.num_base_priors * 2, 1)
        self.feature_adaption = FeatureAdaption(
            self.in_channels, self.feat_channels, kernel_size=3, deform_groups=self.deform_groups
        )
        self.conv_cls = MaskedConv2d(self.feat_channels, self.num_base_priors * self.cls_out_channels, 1)
        self.conv_reg = MaskedConv2d(self.feat_channels, self.num_base_priors * 4, 1)

    def location_mask(self, loc_pred: Tensor) -> Tensor | None:
        """Location logits (N, 1, H, W) -> where to compute, (N, H, W) bool; None (everywhere) in training."""
        return None if self.training else (loc_pred.sigmoid() >= self.loc_filter_thr).squeeze(1)

    def forward_single(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One level (N, in_channels, H, W) -> maps of scores, box deltas, shapes (N, A * 2, H, W), places (N, 1, H, W).

        Class scores (N, A * C, H, W) and box deltas (N, A * 4, H, W) are 0 in places that were left out.
        """
        loc_pred, shape_pred = self.conv_loc(x), self.conv_shape(x)
        x = self.feature_adaption(x, shape_pred)
        mask = self.location_mask(loc_pred)  # in training everywhere, so that no place is without a gradient
        return self.conv_cls(x, mask), self.conv_reg(x, mask), shape_pred, loc_pred

    def get_sampled_approxs(
        self, featmap_sizes: Sequence[tuple[int, int]], img_metas: list[ImgMeta], device: str | torch.device = 'cuda'
    ) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
        """Approximations, and which squares have one inside the image; see :func:`guided_targets.sampled_approxs`."""
        border = self.train_cfg.allowed_border
        return guided_targets.sampled_approxs(self.approx_anchor_generator, featmap_sizes, img_metas, border, device)

    def get_anchors(
        self,
        featmap_sizes: Sequence[tuple[int, int]],
        shape_preds: Sequence[Tensor],
        loc_preds: Sequence[Tensor],
        img_metas: list[ImgMeta],
        use_loc_filter: bool = False,
        device: str | torch.device = 'cuda',
    ) -> tuple[list[list[Tensor]], list[list[Tensor]], list[list[Tensor]]]:
        """Squares, guided anchors, and where these are; see :func:`guided_anchors.anchors_of_batch`.

        ``featmap_sizes`` are (H, W) of each level; ``use_loc_filter`` keeps likely places only; ``device`` is where the
        tensors are made.
        """
        squares = self.square_anchor_generator.grid_priors(featmap_sizes, device=device)
        of_level = partial(self._get_guided_anchors_single, use_loc_filter=use_loc_filter)
        threshold = self.loc_filter_thr if use_loc_filter else None
        levels = (of_level, squares, shape_preds, loc_preds)
        return guided_anchors.anchors_of_batch(*levels, self.num_base_priors, threshold)

    def _get_guided_anchors_single(
        self,
        squares: Tensor,
        shape_pred: Tensor,
        loc_pred: Tensor,
        use_loc_filter: bool = False,
        rows: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Guided anchors (k, 4) and mask (H * W * A,) of one level of one image; see :meth:`get_anchors`.

        ``rows`` (k,) are those of the mask where they are known.
        """
        threshold = self.loc_filter_thr if use_loc_filter else None
        level = (self.anchor_coder, squares, shape_pred, loc_pred)
        return guided_anchors.anchors_of_level(*level, self.num_base_priors, threshold, rows)

    def ga_loc_targets(
        self,
        gt_bboxes_list: list[Tensor],
        featmap_sizes: Sequence[tuple[int, int]],
        img_metas: list[ImgMeta] | None = None,
    ) -> tuple[list[Tensor], list[Tensor], float]:
        """Where anchors should be, weighed as the images say; see :func:`guided_targets.location_targets_of_batch`."""
        targets, weights, divisor = guided_targets.location_targets_of_batch(
            gt_bboxes_list, featmap_sizes, self.approx_anchor_generator, self.train_cfg
        )
        for i, level in enumerate(weights):
            rows = guided_targets.location_rows(targets[i], level, self.num_classes)
            weighed = self.weigh(rows, img_metas, guided_targets.overlaps_of_places(level), sampled=False)
            weights[i] = weighed.label_weights.view_as(level)
        return targets, weights, divisor

    def _ga_shape_target_single(
        self,
        flat_approxs: Tensor,
        inside_flags: Tensor,
        flat_squares: Tensor,
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None,
        img_meta: ImgMeta,
        unmap_outputs: bool = True,
    ) -> tuple[Tensor, ...]:
        """Shape targets of one image; see :func:`guided_targets.shape_targets`, ``sample_squares`` for arguments."""
        image = (flat_approxs, inside_flags, flat_squares, gt_bboxes, gt_bboxes_ignore, img_meta)
        squares = guided_targets.sample_squares(*image, self.ga_assigner, self.ga_sampler, unmap_outputs)
        return guided_targets.shape_targets(squares, flat_squares)

    def ga_shape_targets(
        self,
        approx_list: list[list[Tensor]],
        inside_flag_list: list[list[Tensor]],
        square_list: list[list[Tensor]],
        gt_bboxes_list: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore_list: list[Tensor] | None = None,
        unmap_outputs: bool = True,
    ) -> tuple:
        """Shape targets of a batch, by level; see :func:`guided_targets.shape_targets_of_batch`."""
        batch = (approx_list, inside_flag_list, square_list, gt_bboxes_list, img_metas, gt_bboxes_ignore_list)
        squares, gts, weights, *counts = guided_targets.shape_targets_of_batch(
            self._ga_shape_target_single, *batch, unmap_outputs
        )
        of_images = self.image_weights(img_metas, weights[0].device)
        if of_images is not None:
            weights = [level * of_images[:, None, None] for level in weights]
        return squares, gts, weights, *counts

    def loss_shape_single(
        self,
        shape_pred: Tensor,
        bbox_anchors: Tensor,
        bbox_gts: Tensor,
        anchor_weights: Tensor,
        anchor_total_num: float,
    ) -> Tensor:
        """Shape loss of one level: (N, A * 2, H, W), three times (N, H * W * A, 4), and the divisor."""
        level = (shape_pred, bbox_anchors, bbox_gts, anchor_weights)
        return self.loss_shape(*guided_anchors.shaped_rows(self.anchor_coder, *level), avg_factor=anchor_total_num)

    def loss_loc_single(
        self, loc_pred: Tensor, loc_target: Tensor, loc_weight: Tensor, loc_avg_factor: float
    ) -> Tensor:
        """Location loss of one level, from three maps (N, 1, H, W) and the divisor.

        The focal loss takes the target for a class, so that 0 is a place and 1 is none: mmdetection 2.x has it so, and
        the published weights were trained with it. It is kept for their numbers' sake.
        """
        target, weight = loc_target.reshape(-1).long(), loc_weight.reshape(-1)
        return self.loss_loc(loc_pred.reshape(-1, 1), target, weight, avg_factor=loc_avg_factor)

    def loss(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        shape_preds: Sequence[Tensor],
        loc_preds: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor] | None,
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, list[Tensor]]:
        """``loss_cls``, ``loss_bbox``, ``loss_shape`` and ``loss_loc``, one tensor a level each.

        Args:
            cls_scores: L maps (N, A * C, H, W).
            bbox_preds: L maps (N, A * 4, H, W).
            shape_preds: L maps (N, A * 2, H, W).
            loc_preds: L maps (N, 1, H, W).
            gt_bboxes: N times (G, 4).
            gt_labels: N times (G,), or None: all objects are of class 0.
            img_metas: meta information of the N images.
            gt_bboxes_ignore: N times (G', 4), or None; the places do not know them.
        """
        maps = (cls_scores, bbox_preds, shape_preds, loc_preds)
        cls_scores, bbox_preds, shape_preds, loc_preds = map(to_full_precision, maps)
        sizes, device = sizes_of_maps(cls_scores), cls_scores[0].device
        approxs, inside = self.get_sampled_approxs(sizes, img_metas, device=device)
        squares, anchors, _ = self.get_anchors(sizes, shape_preds, loc_preds, img_metas, device=device)
        *loc_targets, loc_divisor = self.ga_loc_targets(gt_bboxes, sizes, img_metas)
        *shape_targets, num_pos, num_neg = self.ga_shape_targets(
            approxs, inside, squares, gt_bboxes, img_metas, gt_bboxes_ignore
        )
        shape_divisor = num_pos + num_neg if self.ga_sampling else num_pos
        options: Any = dict(gt_bboxes_ignore_list=gt_bboxes_ignore, gt_labels_list=gt_labels)
        options['label_channels'] = self.cls_out_channels if self.use_sigmoid_cls else 1
        *targets, num_pos, num_neg = self.get_targets(anchors, inside, gt_bboxes, img_metas, **options)[:6]
        cls_scores, targets[1] = self.score_maps_for_loss(cls_scores, targets[0], targets[1], img_metas)
        rows = ([torch.stack(level) for level in zip(*anchors)], *targets)
        count = num_pos + num_neg if self.sampling else num_pos
        losses_cls, losses_bbox = multi_apply(self.loss_single, cls_scores, bbox_preds, *rows, num_total_samples=count)
        losses_loc = [
            self.loss_loc_single(pred, target, weight, loc_divisor)
            for pred, target, weight in zip(loc_preds, *loc_targets)
        ]
        losses_shape = [
            self.loss_shape_single(pred, squares_of, gts, weights, shape_divisor)
            for pred, squares_of, gts, weights in zip(shape_preds, *shape_targets)
        ]
        return dict(loss_cls=losses_cls, loss_bbox=losses_bbox, loss_shape=losses_shape, loss_loc=losses_loc)

    def get_bboxes(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        shape_preds: Sequence[Tensor],
        loc_preds: Sequence[Tensor],
        img_metas: list[ImgMeta],
        cfg: dict | None = None,
        rescale: bool = False,
    ) -> list:
        """Maps to boxes, image by image; maps as of :meth:`loss`, the rest as of :meth:`BaseDenseHead.get_bboxes`."""
        scores, deltas, shapes, places = map(to_full_precision, (cls_scores, bbox_preds, shape_preds, loc_preds))
        sizes, device = sizes_of_maps(scores), scores[0].device
        _, anchors, masks = self.get_anchors(sizes, shapes, places, img_metas, not self.training, device)
        return [
            self._get_bboxes_single(
                select_single_mlvl(scores, i),
                select_single_mlvl(deltas, i),
                anchors[i],
                rows_of(masks[i], list(map(len, anchors[i]))),
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
        bbox_preds: list[Tensor],
        mlvl_anchors: list[Tensor],
        mlvl_masks: list[Tensor],
        img_shape: tuple[int, ...],
        scale_factor: Any,
        cfg: ConfigDict,
        rescale: bool = False,
    ) -> tuple[Tensor, ...]:
        """Detections of one image: boxes with scores (k, 5), labels (k,).

        Args:
            cls_scores: L maps (A * C, H, W).
            bbox_preds: L maps (A * 4, H, W).
            mlvl_anchors: L times (k, 4).
            mlvl_masks: L times (k,) rows of the anchors, or (H * W * A,) bool with k true ones.
            img_shape: height and width that bound the boxes, pixels.
            scale_factor, rescale: see :func:`suppressed`.
            cfg: see the class.
        """
        masked = [
            (flatten_map(scores, self.cls_out_channels)[mask], flatten_map(deltas, 4)[mask])
            for scores, deltas, mask in zip(cls_scores, bbox_preds, mlvl_masks)
        ]
        levels = (
            (self._class_scores(logits), deltas, anchors) for (logits, deltas), anchors in zip(masked, mlvl_anchors)
        )
        scores, boxes = best_boxes(levels, self.bbox_coder, cfg.get('nms_pre', -1), img_shape)
        return suppressed(boxes, scores, scale_factor, cfg, rescale)
