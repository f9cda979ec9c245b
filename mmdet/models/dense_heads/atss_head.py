"""ATSS: one anchor a cell, with positives chosen by statistics of the overlaps (https://arxiv.org/abs/1912.02424)."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import Scale
from torch import Tensor, nn

from mmdet.core.img_meta import ImgMeta
from mmdet.core.utils.dist_utils import reduce_mean
from mmdet.core.utils.misc import multi_apply
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.dense_heads.anchor_head import AnchorHead
from mmdet.models.dense_heads.fcos_head import centerness_of
from mmdet.models.dense_heads.functional.rows import (
    output_rows,
    positive_rows,
    rows_of_level,
    sample_counts,
    to_full_precision,
)
from mmdet.models.dense_heads.functional.towers import CENTERNESS_LOSS, GROUP_NORM, conv_tower, rare_classes

# Default arguments, never written to.
RARE_CLASSES = rare_classes('atss_cls')


@HEADS.register_module()
class ATSSHead(AnchorHead):
    """Class scores, box deltas, and the centreness that lowers the scores of anchors near a side of their object.

    Args:
        num_classes: K, without background.
        in_channels: channels of the feature maps.
        pred_kernel_size: side of the kernels of the predicting convolutions.
        stacked_convs: 3x3 convolutions in each tower.
        conv_cfg: kind of these convolutions; None: ``Conv2d``.
        norm_cfg: normalisation after each.
        reg_decoded_bbox: the box loss compares boxes in pixels instead of deltas; the centreness needs it.
        loss_centerness: config of the centreness loss.
        init_cfg: initialisation of the weights.
        kwargs: other arguments of :class:`AnchorHead`; the assigner looks at the levels one by one.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        pred_kernel_size: int = 3,
        stacked_convs: int = 4,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = GROUP_NORM,
        reg_decoded_bbox: bool = True,
        loss_centerness: dict = CENTERNESS_LOSS,
        init_cfg: dict | list | None = RARE_CLASSES,
        **kwargs: Any,
    ) -> None:
        self.pred_kernel_size = pred_kernel_size
        self.stacked_convs = stacked_convs
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        super().__init__(num_classes, in_channels, reg_decoded_bbox=reg_decoded_bbox, init_cfg=init_cfg, **kwargs)
        self.loss_centerness = build_loss(loss_centerness)

    def _init_layers(self) -> None:
        self.relu = nn.ReLU(inplace=True)
        tower = (self.in_channels, self.feat_channels, self.stacked_convs, self.conv_cfg, self.norm_cfg)
        self.cls_convs = conv_tower(*tower)
        self.reg_convs = conv_tower(*tower)
        kernel, padding = self.pred_kernel_size, self.pred_kernel_size // 2
        priors, channels = self.num_base_priors, self.feat_channels
        self.atss_cls = nn.Conv2d(channels, priors * self.cls_out_channels, kernel, padding=padding)
        self.atss_reg = nn.Conv2d(channels, priors * 4, kernel, padding=padding)
        self.atss_centerness = nn.Conv2d(channels, priors, kernel, padding=padding)
        self.scales = nn.ModuleList(Scale(1.0) for _ in self.prior_generator.strides)

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """L feature maps -> L maps of each of the three kinds of :meth:`forward_single`."""
        return multi_apply(self.forward_single, feats, self.scales)

    def forward_single(self, x: Tensor, scale: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
        """One level (N, in_channels, H, W) -> class scores, box deltas and centreness; ``scale`` is of the deltas.

        Their shapes are (N, A * C, H, W), (N, A * 4, H, W) and (N, A, H, W).
        """
        cls_feat = reg_feat = x
        for cls_conv, reg_conv in zip(self.cls_convs, self.reg_convs):
            cls_feat, reg_feat = cls_conv(cls_feat), reg_conv(reg_feat)
        deltas = scale(self.atss_reg(reg_feat)).float()
        return self.atss_cls(cls_feat), deltas, self.atss_centerness(reg_feat)

    def loss_single(
        self,
        anchors: Tensor,
        cls_score: Tensor,
        bbox_pred: Tensor,
        centerness: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        bbox_targets: Tensor,
        num_total_samples: float | Tensor,
        bbox_weights: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Losses of one level.

        Args:
            anchors: (N, H * W * A, 4).
            cls_score: (N, A * C, H, W).
            bbox_pred: (N, A * 4, H, W).
            centerness: (N, A, H, W).
            labels: (N, H * W * A).
            label_weights: (N, H * W * A).
            bbox_targets: (N, H * W * A, 4).
            num_total_samples: divisor of the classification and the centreness loss.
            bbox_weights: (N, H * W * A, 4), of the box and the centreness loss; None: 1.

        Returns:
            classification loss, box loss (a sum), centreness loss, and the box loss's divisor.
        """
        cls_score = rows_of_level(cls_score, self.cls_out_channels)
        labels = labels.reshape(-1)
        loss_cls = self.loss_cls(cls_score, labels, label_weights.reshape(-1), avg_factor=num_total_samples)
        pos = positive_rows(labels, self.num_classes)
        anchors, targets = anchors.reshape(-1, 4)[pos], bbox_targets.reshape(-1, 4)[pos]
        bbox_pred = rows_of_level(bbox_pred, 4)[pos]
        centerness = rows_of_level(centerness, 1)[pos, 0]
        centres = self.centerness_target(anchors, targets)
        weights = torch.ones_like(centres) if bbox_weights is None else bbox_weights.reshape(-1, 4)[pos, 0]
        # a sum: its divisor, the centreness of all levels and processes, is known only afterwards
        loss_bbox = self.loss_bbox(
            self.bbox_coder.decode(anchors, bbox_pred), targets, weight=centres * weights, avg_factor=1.0
        )
        loss_centerness = self.loss_centerness(centerness, centres, weights, avg_factor=num_total_samples)
        return loss_cls, loss_bbox, loss_centerness, centres.sum()

    def loss(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        centernesses: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, list[Tensor]]:
        """``loss_cls``, ``loss_bbox`` and ``loss_centerness``, one tensor a level each.

        Args:
            cls_scores: L maps (N, A * C, H, W).
            bbox_preds: L maps (N, A * 4, H, W).
            centernesses: L maps (N, A, H, W).
            gt_bboxes: N times (G, 4).
            gt_labels: N times (G,).
            img_metas: meta information of the N images.
            gt_bboxes_ignore: N times (G', 4), or None.
        """
        cls_scores, bbox_preds, centernesses = map(to_full_precision, (cls_scores, bbox_preds, centernesses))
        _, targets = self.targets_of_maps(cls_scores, gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore)
        anchors, labels, label_weights, bbox_targets, bbox_weights, num_pos, _ = targets
        cls_scores, label_weights = self.score_maps_for_loss(cls_scores, labels, label_weights, img_metas)
        num_samples = reduce_mean(cls_scores[0].new_full((), num_pos)).clamp(min=1)
        maps = (cls_scores, bbox_preds, centernesses)
        counts = [num_samples] * len(anchors)
        losses_cls, losses_bbox, losses_centerness, divisors = multi_apply(
            self.loss_single, anchors, *maps, labels, label_weights, bbox_targets, counts, bbox_weights
        )
        divisor = reduce_mean(sum(divisors)).clamp(min=1)
        return dict(
            loss_cls=losses_cls, loss_bbox=[level / divisor for level in losses_bbox], loss_centerness=losses_centerness
        )

    def centerness_target(self, anchors: Tensor, gts: Tensor) -> Tensor:
        """Anchors (P, 4), whose centres lie inside the boxes ``gts`` (P, 4) -> (P,): 1 in the middle, 0 on a side."""
        centres = (anchors[:, :2] + anchors[:, 2:]) / 2
        return centerness_of(torch.cat([centres - gts[:, :2], gts[:, 2:] - centres], dim=1))

    def get_num_level_anchors_inside(self, num_level_anchors: list[int], inside_flags: Tensor) -> list[int]:
        """How many of the flags (R,) are true on each level."""
        return num_inside(num_level_anchors, inside_flags)

    def _get_targets_single(
        self,
        flat_anchors: Tensor,
        valid_flags: Sequence[Tensor],
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None,
        gt_labels: Tensor | None,
        img_meta: ImgMeta,
        label_channels: int = 1,
        unmap_outputs: bool = True,
    ) -> tuple:
        """Targets of one image, as of :meth:`AnchorHead._get_targets_single`; ``valid_flags`` are L tensors."""
        rows = self._rows_inside(flat_anchors, torch.cat(list(valid_flags)), img_meta)
        inside = torch.zeros_like(flat_anchors[:, 0], dtype=torch.bool)
        inside.index_fill_(0, rows, True)
        anchors, level_sizes = flat_anchors[rows], num_inside([len(flags) for flags in valid_flags], inside)
        assigned = self.assigner.assign(anchors, level_sizes, gt_bboxes, gt_bboxes_ignore, gt_labels)
        # samplers read the image's meta information
        sampled = self.sampler.sample(assigned, anchors, gt_bboxes, img_metas=img_meta)
        targets = self._fill_targets(*output_rows(rows, len(flat_anchors), unmap_outputs), sampled, gt_labels)
        return (*targets, sampled.pos_inds, sampled.neg_inds, sampled)

    def _get_target_single(
        self,
        flat_anchors: Tensor,
        valid_flags: Tensor,
        num_level_anchors: list[int],
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None,
        gt_labels: Tensor | None,
        img_meta: ImgMeta,
        label_channels: int = 1,
        unmap_outputs: bool = True,
    ) -> tuple:
        """Anchors of one image, (R, 4) or those inside it, and their targets.

        Args:
            flat_anchors: (R, 4), all levels.
            valid_flags: (R,), which anchors lie over the padded image.
            num_level_anchors: anchors of each level.
            gt_bboxes: (G, 4).
            gt_bboxes_ignore: (G', 4) or None.
            gt_labels: (G,) or None.
            img_meta: meta information of the image.
            label_channels: handed on.
            unmap_outputs: give a row for each of the R anchors, otherwise for those that ``allowed_border`` leaves.

        Returns:
            anchors, labels, label weights, box targets, box weights, indices of positives and of negatives, and further
            items of ``_get_targets_single``.
        """
        targets = self._get_targets_single(
            flat_anchors,
            valid_flags.split(num_level_anchors),
            gt_bboxes,
            gt_bboxes_ignore,
            gt_labels,
            img_meta,
            label_channels,
            unmap_outputs,
        )
        if not unmap_outputs:
            flat_anchors = flat_anchors[self._rows_inside(flat_anchors, valid_flags, img_meta)]
        return (flat_anchors, *targets)

    def get_targets(
        self,
        anchor_list: list[list[Tensor]],
        valid_flag_list: list[list[Tensor]],
        gt_bboxes_list: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore_list: list[Tensor] | None = None,
        gt_labels_list: list[Tensor] | None = None,
        label_channels: int = 1,
        unmap_outputs: bool = True,
    ) -> tuple:
        """Targets of a batch, by level; arguments as of :meth:`AnchorHead.get_targets`.

        Returns:
            L times, for all images: anchors (N, H * W * A, 4), labels, label weights (N, H * W * A), box targets and
            box weights (N, H * W * A, 4); then the numbers of positives and of negatives in the batch (each image
            counts at least one of both).
        """
        num_imgs, level_sizes = len(img_metas), [len(anchors) for anchors in anchor_list[0]]
        results = multi_apply(
            self._get_target_single,
            [torch.cat(anchors) for anchors in anchor_list],
            [torch.cat(flags) for flags in valid_flag_list],
            [level_sizes] * num_imgs,
            gt_bboxes_list,
            gt_bboxes_ignore_list or [None] * num_imgs,
            gt_labels_list or [None] * num_imgs,
            img_metas,
            label_channels=label_channels,
            unmap_outputs=unmap_outputs,
        )
        # heads of mmdetection 2.x's users give seven entries, without the sampling result
        anchors, *targets, pos_inds, neg_inds = results[:7]
        counts = sample_counts(pos_inds, neg_inds)
        by_level = self.weigh_by_level(targets, anchors, gt_bboxes_list, img_metas, level_sizes, *results[7:8])
        return (list(torch.stack(anchors).split(level_sizes, dim=1)), *by_level, *counts)


def num_inside(num_level_anchors: Sequence[int], inside_flags: Tensor) -> list[int]:
    """How many of the flags (R,) are true on each level."""
    return torch.stack([flags.sum() for flags in inside_flags.split(list(num_level_anchors))]).tolist()
