"""RepPoints: points that move to an object stand for its box (https://arxiv.org/abs/1904.11490).

Legend: P points (or numbers of a box) for each place; R places of an image, on all levels.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmdet.core.anchor.point_generator import MlvlPointGenerator
from mmdet.core.bbox.builder import build_assigner
from mmdet.core.bbox.iou_calculators.iou2d_calculator import greatest_overlaps
from mmdet.core.bbox.transforms import clip_boxes
from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets, objects_of_boxes, scatter_rows, targets_of_sample
from mmdet.core.utils.misc import multi_apply
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.dense_heads.anchor_free_head import AnchorFreeHead
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.dense_heads.functional.matching import sampler_or_all
from mmdet.models.dense_heads.functional.points.reppoints import (
    check_transform,
    first_boxes,
    grid_of_bbox,
    points_of_maps,
    points_to_bbox,
)
from mmdet.models.dense_heads.functional.points.star_points import kernel_points, part_of_gradient
from mmdet.models.dense_heads.functional.rows import (
    output_rows,
    rows_of_level,
    sample_counts,
    sizes_of_maps,
    to_full_precision,
)
from mmdet.models.dense_heads.functional.towers import FOCAL_LOSS, rare_classes
from mmdet.ops import DeformConv2d

# Default arguments; every builder copies them.
INIT_LOSS = dict(type='SmoothL1Loss', beta=1.0 / 9.0, loss_weight=0.5)
REFINE_LOSS = dict(type='SmoothL1Loss', beta=1.0 / 9.0, loss_weight=1.0)


@HEADS.register_module()
class RepPointsHead(AnchorFreeHead):
    """Points of a first guess, where deformable convolutions look, refined points, and class scores.

    Negative policies are about what the assigner of the refining stage takes as negatives; that stage's proposals are
    the boxes of the first guess, which the policy that looks at overlaps compares with the objects.

    Args:
        num_classes: K, without background.
        in_channels: channels of the feature maps.
        point_feat_channels: channels before the predictions.
        num_points: points of a set, the square of an odd number.
        gradient_mul: this part of the gradient of the refined points reaches the first guess.
        point_strides: pixels of a cell of each level.
        point_base_scale: strides of the side of a first box.
        loss_cls: config of the classification loss.
        loss_bbox_init: config of the box loss of the first guess.
        loss_bbox_refine: config of the box loss of the refined points.
        use_grid_points: predict boxes, and put the points on a grid over them.
        center_init: the first guess starts at the middle of the cell, otherwise on a grid.
        transform_method: ``'minmax'``, ``'partial_minmax'`` or ``'moment'``, see :func:`points_to_bbox`.
        moment_mul: this part of the gradient reaches the factors of the deviations.
        init_cfg: initialisation of the weights.
        kwargs: other arguments of :class:`AnchorFreeHead`; ``train_cfg`` has the sections ``init`` and ``refine``, each
            with ``assigner`` and ``pos_weight``.

    Raises:
        ValueError: ``num_points`` is no square of an odd number, or an unknown ``transform_method``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        point_feat_channels: int = 256,
        num_points: int = 9,
        gradient_mul: float = 0.1,
        point_strides: Sequence[int] = (8, 16, 32, 64, 128),
        point_base_scale: float = 4,
        loss_cls: dict = FOCAL_LOSS,
        loss_bbox_init: dict = INIT_LOSS,
        loss_bbox_refine: dict = REFINE_LOSS,
        use_grid_points: bool = False,
        center_init: bool = True,
        transform_method: str = 'moment',
        moment_mul: float = 0.01,
        init_cfg: dict | list | None = rare_classes('reppoints_cls_out'),  # noqa: B008 - the builder copies it
        **kwargs: Any,
    ) -> None:
        self.dcn_kernel = math.isqrt(num_points)
        if self.dcn_kernel**2 != num_points or self.dcn_kernel % 2 == 0:
            raise ValueError(f'num_points: expected the square of an odd number, got {num_points}')
        check_transform(transform_method)
        self.num_points = num_points
        self.point_feat_channels = point_feat_channels
        self.use_grid_points = use_grid_points
        self.center_init = center_init
        self.dcn_pad = (self.dcn_kernel - 1) // 2
        self.dcn_base_offset = kernel_points(self.dcn_kernel).double().view(1, -1, 1, 1)
        super().__init__(num_classes, in_channels, loss_cls=loss_cls, init_cfg=init_cfg, **kwargs)
        self.gradient_mul = gradient_mul
        self.point_base_scale = point_base_scale
        self.point_strides = point_strides
        self.prior_generator = MlvlPointGenerator(point_strides, offset=0.0)
        self.sampling = loss_cls['type'] not in ('FocalLoss',)
        if self.train_cfg:
            self.init_assigner = build_assigner(self.train_cfg.init.assigner)
            self.refine_assigner = build_assigner(self.train_cfg.refine.assigner)
            self.sampler = sampler_or_all(self, self.train_cfg.get('sampler') if self.sampling else None)
        self.transform_method = transform_method
        if transform_method == 'moment':
            self.moment_transfer = nn.Parameter(torch.zeros(2))
            self.moment_mul = moment_mul
        self.loss_bbox_init = build_loss(loss_bbox_init)
        self.loss_bbox_refine = build_loss(loss_bbox_refine)

    def _init_layers(self) -> None:
        width, feat = self.point_feat_channels, self.feat_channels
        numbers = 4 if self.use_grid_points else 2 * self.num_points
        self.relu = nn.ReLU(inplace=True)
        self._init_cls_convs()
        self._init_reg_convs()
        self.reppoints_cls_conv = DeformConv2d(feat, width, self.dcn_kernel, 1, self.dcn_pad)
        self.reppoints_cls_out = nn.Conv2d(width, self.cls_out_channels, 1)
        self.reppoints_pts_init_conv = nn.Conv2d(feat, width, 3, padding=1)
        self.reppoints_pts_init_out = nn.Conv2d(width, numbers, 1)
        self.reppoints_pts_refine_conv = DeformConv2d(feat, width, self.dcn_kernel, 1, self.dcn_pad)
        self.reppoints_pts_refine_out = nn.Conv2d(width, numbers, 1)

    def points2bbox(self, pts: Tensor, y_first: bool = True) -> Tensor:
        """Point sets (N, 2 * P, ...) -> boxes (N, 4, ...); ``y_first`` says which number of a point comes first."""
        moment = self.transform_method == 'moment'
        stretch = part_of_gradient(self.moment_transfer, self.moment_mul) if moment else None
        return points_to_bbox(pts, y_first, self.transform_method, stretch)

    def gen_grid_from_reg(self, reg: Tensor, previous_boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Points on a grid over refined boxes, and these; see :func:`grid_of_bbox`."""
        return grid_of_bbox(reg, previous_boxes, self.dcn_kernel)

    forward: Any = BaseDenseHead.forward  # all kinds of maps, where other heads of this family give two

    def forward_single(self, x: Tensor) -> tuple[Tensor, ...]:
        """One level (N, in_channels, H, W) -> its maps, in strides from the upper left corner of the cell.

        Returns:
            in training class scores (N, C, H, W), first and refined points (N, 2 * P, H, W), y before x; otherwise
            class scores and the boxes of the refined points (N, 4, H, W).
        """
        cls_feat = pts_feat = x
        for layer in self.cls_convs:
            cls_feat = layer(cls_feat)
        for layer in self.reg_convs:
            pts_feat = layer(pts_feat)
        base = self.dcn_base_offset.to(x, non_blocking=True)
        half = self.point_base_scale / 2
        first = self.reppoints_pts_init_out(self.relu(self.reppoints_pts_init_conv(pts_feat)))
        if self.use_grid_points:
            start = x.new_tensor([-half, -half, half, half]).view(1, 4, 1, 1)
            first, first_boxes = self.gen_grid_from_reg(first, start)
        elif not self.center_init:
            first = first + base / base.max() * half
        # the first guess learns from its own loss; through the offsets only a part of the refining stage's gradient
        # reaches it
        offset = part_of_gradient(first, self.gradient_mul) - base
        scores = self.reppoints_cls_out(self.relu(self.reppoints_cls_conv(cls_feat, offset)))
        refined = self.reppoints_pts_refine_out(self.relu(self.reppoints_pts_refine_conv(pts_feat, offset)))
        if self.use_grid_points:
            refined, _ = self.gen_grid_from_reg(refined, first_boxes.detach())
        else:
            refined = refined + first.detach()
        return (scores, first, refined) if self.training else (scores, self.points2bbox(refined))

    def get_points(
        self, featmap_sizes: Sequence[tuple[int, int]], img_metas: list[ImgMeta], device: torch.device | str
    ) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
        """Places of each image, N times L times (H * W, 4) x, y, stride x, stride y, and which lie over its padding.

        The N lists of places are one object.
        """
        points = self.prior_generator.grid_priors(featmap_sizes, device=device, with_stride=True)
        flags = [self.prior_generator.valid_flags(featmap_sizes, meta['pad_shape'], device) for meta in img_metas]
        return [points] * len(img_metas), flags

    def centers_to_bboxes(self, point_list: list[list[Tensor]]) -> list[list[Tensor]]:
        """First boxes, N times L times (H * W, 4), around the places."""
        sides = [self.point_base_scale * stride for stride in self.point_strides]
        return [list(map(first_boxes, points, sides)) for points in point_list]

    def offset_to_pts(self, center_list: list[list[Tensor]], pred_list: Sequence[Tensor]) -> list[Tensor]:
        """Predictions, L maps (N, 2 * P, H, W) -> points, L times (N, H * W, 2 * P); see :func:`points_of_maps`."""
        return points_of_maps(center_list, pred_list, self.point_strides)

    def _point_target_single(
        self,
        flat_proposals: Tensor,
        valid_flags: Tensor,
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None,
        gt_labels: Tensor | None,
        stage: str = 'init',
        unmap_outputs: bool = True,
    ) -> tuple:
        """Targets of one image; see :meth:`get_targets`.

        Args:
            flat_proposals: (R, 4) places or boxes.
            valid_flags: (R,) bool.
            gt_bboxes: (G, 4).
            gt_bboxes_ignore: (G', 4) or None.
            gt_labels: (G,) or None.
            stage: ``'init'`` or ``'refine'``.
            unmap_outputs: give a row for each of the R places, otherwise for the valid ones.
        """
        rows = valid_flags.nonzero().squeeze(1)
        proposals = flat_proposals[rows]
        assigner = self.init_assigner if stage == 'init' else self.refine_assigner
        assigned = assigner.assign(proposals, gt_bboxes, gt_bboxes_ignore, None if self.sampling else gt_labels)
        sampled = self.sampler.sample(assigned, proposals, gt_bboxes)
        count, rows = output_rows(rows, len(flat_proposals), unmap_outputs)
        samples = (count, rows, sampled, gt_labels, sampled.pos_gt_bboxes)
        targets = targets_of_sample(*samples, self.num_classes, self.train_cfg[stage].pos_weight)
        pos_proposals = scatter_rows(proposals[sampled.pos_inds], count, rows[sampled.pos_inds])
        return (*targets[:3], pos_proposals, targets.bbox_weights, sampled.pos_inds, sampled.neg_inds)

    def get_targets(
        self,
        proposals_list: list[list[Tensor]],
        valid_flag_list: list[list[Tensor]],
        gt_bboxes_list: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore_list: list[Tensor] | None = None,
        gt_labels_list: list[Tensor] | None = None,
        stage: str = 'init',
        label_channels: int = 1,
        unmap_outputs: bool = True,
    ) -> tuple:
        """Targets of a batch, by level, weighed as its images say.

        Args:
            proposals_list: N times L times (H * W, 4) places (x, y, strides) or boxes, as the assigner takes them.
            valid_flag_list: N times L times (H * W,).
            gt_bboxes_list: N times (G, 4).
            img_metas: meta information of the N images.
            gt_bboxes_ignore_list: N times (G', 4) or None.
            gt_labels_list: N times (G,) or None.
            stage: ``'init'`` or ``'refine'``.
            label_channels: not used.
            unmap_outputs: handed on.

        Returns:
            L times labels and label weights (N, H * W), boxes of the objects, proposals of positives and box weights
            (N, H * W, 4); the numbers of positives and of negatives in the batch (each image counts at least one of
            both).

        Raises:
            ValueError: unknown stage.
        """
        if stage not in ('init', 'refine'):
            raise ValueError(f"stage: expected 'init' or 'refine', got {stage!r}")
        counts, nothing = [len(level) for level in proposals_list[0]], [None] * len(img_metas)
        flat, flags = ([torch.cat(levels) for levels in images] for images in (proposals_list, valid_flag_list))
        truth = (gt_bboxes_list, gt_bboxes_ignore_list or nothing, gt_labels_list or nothing)
        labels, label_weights, boxes, proposals, box_weights, pos, neg = multi_apply(
            self._point_target_single, flat, flags, *truth, stage=stage, unmap_outputs=unmap_outputs
        )

        def overlaps(i: int) -> Tensor:
            # of the first stage only the boxes of positives count
            return (
                greatest_overlaps(flat[i], gt_bboxes_list[i]) if stage == 'refine' else torch.zeros_like(flat[i][:, 0])
            )

        targets = Targets(*map(torch.stack, (labels, label_weights, boxes, box_weights)))
        found = (targets.bbox_targets, targets.labels, gt_bboxes_list, gt_labels_list)
        targets = self.weigh(targets, img_metas, overlaps, objects=lambda: objects_of_boxes(*found))
        ordered = (*targets[:3], torch.stack(proposals), targets.bbox_weights)
        by_level = (list(part.split(counts, dim=1)) for part in ordered)
        totals = sample_counts(pos, neg)
        return (*by_level, *totals)

    def loss_single(
        self,
        cls_score: Tensor,
        pts_pred_init: Tensor,
        pts_pred_refine: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        bbox_gt_init: Tensor,
        bbox_weights_init: Tensor,
        bbox_gt_refine: Tensor,
        bbox_weights_refine: Tensor,
        stride: int,
        num_total_samples_init: int,
        num_total_samples_refine: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Classification loss and both box losses of one level, boxes in units of the first box's side.

        Args:
            cls_score: (N, C, H, W).
            pts_pred_init, pts_pred_refine: (N, H * W, 2 * P), x before y, pixels.
            labels, label_weights: (N, H * W).
            bbox_gt_init, bbox_weights_init, bbox_gt_refine, bbox_weights_refine: (N, H * W, 4).
            stride: pixels of a cell.
            num_total_samples_init, num_total_samples_refine: divisors.
        """
        scores = rows_of_level(cls_score, self.cls_out_channels)
        loss_cls = self.loss_cls(
            scores, labels.reshape(-1), label_weights.reshape(-1), avg_factor=num_total_samples_refine
        )
        unit = self.point_base_scale * stride
        stages = (
            (self.loss_bbox_init, pts_pred_init, bbox_gt_init, bbox_weights_init, num_total_samples_init),
            (self.loss_bbox_refine, pts_pred_refine, bbox_gt_refine, bbox_weights_refine, num_total_samples_refine),
        )
        losses = []
        for criterion, points, gts, weights, count in stages:
            boxes = self.points2bbox(points.reshape(-1, 2 * self.num_points), y_first=False)
            pair = boxes / unit, gts.reshape(-1, 4) / unit
            losses.append(criterion(*pair, weights.reshape(-1, 4), avg_factor=count))
        return loss_cls, *losses

    def loss(
        self,
        cls_scores: Sequence[Tensor],
        pts_preds_init: Sequence[Tensor],
        pts_preds_refine: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, list[Tensor]]:
        """``loss_cls``, ``loss_pts_init`` and ``loss_pts_refine``, one tensor a level each.

        Args:
            cls_scores: L maps (N, C, H, W).
            pts_preds_init, pts_preds_refine: L maps (N, 2 * P, H, W).
            gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore: as of :meth:`AnchorHead.loss`.
        """
        cls_scores, first, refined = map(to_full_precision, (cls_scores, pts_preds_init, pts_preds_refine))
        sizes = sizes_of_maps(cls_scores)
        centres, flags = self.get_points(sizes, img_metas, cls_scores[0].device)
        by_place = self.train_cfg.init.assigner['type'] == 'PointAssigner'
        candidates = dict(
            init=centres if by_place else self.centers_to_bboxes(centres), refine=self._first_boxes(centres, first)
        )
        (_, _, gts_init, _, weights_init, *totals_init), (labels, weights, gts, _, box_weights, *totals) = (
            self.get_targets(boxes, flags, gt_bboxes, img_metas, gt_bboxes_ignore, gt_labels, stage=stage)
            for stage, boxes in candidates.items()
        )
        cls_scores, weights = self.score_maps_for_loss(cls_scores, labels, weights, img_metas)
        num_init, num_refine = (sum(pair) if self.sampling else pair[0] for pair in (totals_init, totals))
        points = (self.offset_to_pts(centres, first), self.offset_to_pts(centres, refined))
        targets = (labels, weights, gts_init, weights_init, gts, box_weights)
        losses = multi_apply(
            self.loss_single,
            *(cls_scores, *points, *targets, self.point_strides),
            num_total_samples_init=num_init,
            num_total_samples_refine=num_refine,
        )
        return dict(zip(('loss_cls', 'loss_pts_init', 'loss_pts_refine'), losses))

    def _first_boxes(self, centres: list[list[Tensor]], points: Sequence[Tensor]) -> list[list[Tensor]]:
        """Boxes, N times L times (H * W, 4), of the first points, L maps (N, 2 * P, H, W), off the graph."""
        levels = []
        for level, stride, places in zip(points, self.point_strides, centres[0]):
            shifts = self.points2bbox(level.detach()).detach().flatten(2).transpose(1, 2) * stride
            levels.append(shifts + places[:, :2].repeat(1, 2))
        return [list(image) for image in zip(*levels)]

    def _boxes_of_level(self, level: int, priors: Tensor, deltas: Tensor, max_shape: tuple[int, ...]) -> Tensor:
        return self._bbox_decode(priors, deltas, self.point_strides[level], max_shape)

    def _bbox_decode(self, points: Tensor, bbox_pred: Tensor, stride: float, max_shape: tuple[int, ...]) -> Tensor:
        """Places (n, 2) and boxes (n, 4) in strides from them -> boxes (n, 4) inside ``max_shape`` (h, w), pixels."""
        return clip_boxes(bbox_pred * stride + points[:, :2].repeat(1, 2), max_shape[:2])
