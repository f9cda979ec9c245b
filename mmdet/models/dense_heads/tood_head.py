"""TOOD: scores and boxes that agree, by shared features and by positives where they do (arXiv:2108.07755)."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import Scale, bias_init_with_prob, normal_init
from torch import Tensor, nn

from mmdet.core.bbox.builder import build_assigner
from mmdet.core.bbox.iou_calculators.iou2d_calculator import greatest_overlaps
from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets, objects_of_boxes, scatter_rows, targets_of_sample
from mmdet.core.utils.dist_utils import reduce_mean
from mmdet.core.utils.misc import multi_apply
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.dense_heads.atss_head import ATSSHead
from mmdet.models.dense_heads.functional.assignment.task_alignment import (
    TaskDecomposition,
    adjustment_layers,
    boxes_in_strides,
    keep_valid_boxes,
    normalised_alignment,
    sample_channels,
)
from mmdet.models.dense_heads.functional.rows import (
    output_rows,
    positive_rows,
    rows_of_images,
    rows_of_level,
    to_full_precision,
)
from mmdet.models.dense_heads.functional.towers import rare_classes, tower_of_kinds
from mmdet.models.utils.misc import sigmoid_geometric_mean

# Default argument; every builder copies it.
ACTIVATED_FOCAL_LOSS = dict(type='FocalLoss', use_sigmoid=True, activated=True, gamma=2.0, alpha=0.25, loss_weight=1.0)
ANCHOR_TYPES = ('anchor_free', 'anchor_based')
DEFORMABLE = dict(type='DCNv2', deform_groups=4)
RARE_CLASSES = rare_classes('tood_cls')


@HEADS.register_module()
class TOODHead(ATSSHead):
    """Class scores in [0, 1] and boxes in strides, both from one tower and adjusted to each other.

    In the first epochs ATSS assigns; then positives are the anchors whose score and box agree best with an object, and
    the target of their score is this alignment. Every other anchor is a negative, whatever its alignment. Images'
    weights have no part in the assignment.

    Args:
        num_classes: K, without background.
        in_channels: channels of the feature maps.
        num_dcn: the first so many layers of the tower are modulated deformable convolutions.
        anchor_type: boxes are distances from the anchors' centres (``'anchor_free'``) or deltas of anchors
            (``'anchor_based'``).
        initial_loss_cls: config of the classification loss of the first epochs.
        kwargs: other arguments of :class:`ATSSHead`; ``train_cfg`` has the further keys ``initial_epoch`` (number of
            epochs with ATSS), ``initial_assigner``, ``alpha`` and ``beta`` (powers of score and IoU).

    Attributes:
        epoch: of the training, set by ``SetEpochInfoHook``.

    Raises:
        ValueError: unknown ``anchor_type``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        num_dcn: int = 0,
        anchor_type: str = 'anchor_free',
        initial_loss_cls: dict = ACTIVATED_FOCAL_LOSS,
        **kwargs: Any,
    ) -> None:
        if anchor_type not in ANCHOR_TYPES:
            raise ValueError(f'anchor_type: expected one of {ANCHOR_TYPES}, got {anchor_type!r}')
        self.num_dcn = num_dcn
        self.anchor_type = anchor_type
        self.epoch = 0
        kwargs.setdefault('init_cfg', RARE_CLASSES)
        super().__init__(num_classes, in_channels, **kwargs)
        if self.train_cfg:
            self.initial_epoch = self.train_cfg.initial_epoch
            self.initial_loss_cls = build_loss(initial_loss_cls)
            self.alignment_assigner = self.assigner
            self.assigner = self.initial_assigner = build_assigner(self.train_cfg.initial_assigner)
            self.alpha, self.beta = self.train_cfg.alpha, self.train_cfg.beta

    def _init_layers(self) -> None:
        channels, stacked, self.relu = self.feat_channels, self.stacked_convs, nn.ReLU(inplace=True)
        kinds = [DEFORMABLE if i < self.num_dcn else self.conv_cfg for i in range(stacked)]
        self.inter_convs = tower_of_kinds(self.in_channels, channels, kinds, self.norm_cfg)
        decomposition = (channels, stacked, stacked * 8, self.conv_cfg, self.norm_cfg)
        self.cls_decomp = TaskDecomposition(*decomposition)
        self.reg_decomp = TaskDecomposition(*decomposition)
        self.tood_cls = nn.Conv2d(channels, self.num_base_priors * self.cls_out_channels, 3, padding=1)
        self.tood_reg = nn.Conv2d(channels, self.num_base_priors * 4, 3, padding=1)
        self.cls_prob_module, self.reg_offset_module = (
            adjustment_layers(channels * stacked, channels // 4, width) for width in (1, 4 * 2)
        )
        self.scales = nn.ModuleList(Scale(1.0) for _ in self.prior_generator.strides)

    def init_weights(self) -> None:
        """Small normal weights; the classes start at a probability of 0.01."""
        rare = bias_init_with_prob(0.01)
        super().init_weights()
        self.cls_decomp.init_weights()
        self.reg_decomp.init_weights()
        for layers, std in ((self.cls_prob_module, 0.01), (self.reg_offset_module, 0.001)):
            for layer in (layers[0], layers[2]):
                normal_init(layer, std=std)
        for layer, bias in ((self.cls_prob_module[2], rare), (self.tood_cls, rare), (self.tood_reg, 0)):
            normal_init(layer, std=0.01, bias=bias)

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """L feature maps -> L maps of both kinds of :meth:`forward_single`."""
        priors = [
            self.prior_generator.single_level_grid_priors(x.shape[-2:], level, device=x.device)
            for level, x in enumerate(feats)
        ]
        return multi_apply(self.forward_single, feats, self.scales, priors, self.prior_generator.strides)

    def forward_single(
        self, x: Tensor, scale: nn.Module, priors: Tensor, stride: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """One level -> class scores in [0, 1] (N, C, H, W), boxes in strides (N, 4, H, W).

        Args:
            x: features (N, in_channels, H, W).
            scale: the level's factor of the box predictions.
            priors: (H * W, 4) its anchors, pixels.
            stride: pixels of its cells.
        """
        stages = []
        for layer in self.inter_convs:
            x = layer(x)
            stages.append(x)
        feat = torch.cat(stages, dim=1)
        average = feat.mean(dim=(2, 3), keepdim=True)
        logits = self.tood_cls(self.cls_decomp(feat, average))
        scores = sigmoid_geometric_mean(logits, self.cls_prob_module(feat))
        predicted = self.tood_reg(self.reg_decomp(feat, average))
        boxes = self._boxes(predicted, scale, priors, stride)
        offsets = self.reg_offset_module(feat).to(boxes.dtype)
        return scores, keep_valid_boxes(self.deform_sampling(boxes, offsets), boxes)

    def _boxes(self, predicted: Tensor, scale: nn.Module, priors: Tensor, stride: tuple[int, int]) -> Tensor:
        """Predictions (N, 4, H, W) of one level as boxes in strides, (N, 4, H, W); see :meth:`forward_single`."""
        if self.anchor_type == 'anchor_free':
            return boxes_in_strides(scale(predicted.exp()).float(), self.anchor_center(priors), stride[0])
        return boxes_in_strides(scale(predicted).float(), priors, stride[0], self.bbox_coder)

    def deform_sampling(self, feat: Tensor, offset: Tensor) -> Tensor:
        """See :func:`sample_channels`."""
        return sample_channels(feat, offset)

    def anchor_center(self, anchors: Tensor) -> Tensor:
        """Anchors (..., 4) -> centres (..., 2), x and y."""
        return (anchors[..., :2] + anchors[..., 2:]) / 2

    @property
    def _assigns_initially(self) -> bool:
        return self.epoch < self.initial_epoch

    def loss_single(
        self,
        anchors: Tensor,
        cls_score: Tensor,
        bbox_pred: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        bbox_targets: Tensor,
        alignment_metrics: Tensor,
        stride: tuple[int, int],
        bbox_weights: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Losses of one level.

        Args:
            anchors: (N, H * W, 4).
            cls_score: (N, C, H, W) in [0, 1].
            bbox_pred: (N, 4, H, W), strides.
            labels, label_weights: (N, H * W).
            bbox_targets: (N, H * W, 4), pixels.
            alignment_metrics: (N, H * W).
            stride: pixels of a cell.
            bbox_weights: (N, H * W, 4), of the box loss; None: 1.

        Returns:
            classification loss and box loss (sums), and the divisors of both.
        """
        anchors, bbox_targets = anchors.reshape(-1, 4), bbox_targets.reshape(-1, 4)
        cls_score = rows_of_level(cls_score, self.cls_out_channels)
        bbox_pred = rows_of_level(bbox_pred, 4)
        labels, metrics, label_weights = labels.flatten(), alignment_metrics.flatten(), label_weights.flatten()
        pos = positive_rows(labels, self.num_classes)
        if self._assigns_initially:
            loss_cls = self.initial_loss_cls(cls_score, labels, label_weights, avg_factor=1.0)
            # ATSS knows no alignment yet: boxes count by how central their anchors are
            qualities = self.centerness_target(anchors[pos], bbox_targets[pos])
        else:
            loss_cls = self.loss_cls(cls_score, (labels, metrics), label_weights, avg_factor=1.0)
            qualities = metrics[pos]
        weights = qualities if bbox_weights is None else qualities * bbox_weights.reshape(-1, 4)[pos, 0]
        loss_bbox = self.loss_bbox(bbox_pred[pos], bbox_targets[pos] / stride[0], weight=weights, avg_factor=1.0)
        return loss_cls, loss_bbox, metrics.sum(), qualities.sum()

    def loss(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, list[Tensor]]:
        """``loss_cls`` and ``loss_bbox``, one tensor a level each.

        Args:
            cls_scores: L maps (N, C, H, W) in [0, 1].
            bbox_preds: L maps (N, 4, H, W), strides.
            gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore: as of :meth:`AnchorHead.loss`.
        """
        cls_scores, bbox_preds = to_full_precision(cls_scores), to_full_precision(bbox_preds)
        strides = self.prior_generator.strides
        anchors, flags = self.anchors_of_maps(cls_scores, img_metas)
        scores = rows_of_images(cls_scores, self.cls_out_channels)
        boxes = rows_of_images([level * stride[0] for level, stride in zip(bbox_preds, strides)], 4)
        of_levels, labels, weights, bbox_targets, metrics, bbox_weights = self.get_targets(
            scores, boxes, anchors, flags, gt_bboxes, img_metas, gt_bboxes_ignore, gt_labels, self.cls_out_channels
        )
        masked, label_weights = self.score_maps_for_loss(cls_scores, labels, weights, img_metas)
        targets = (labels, label_weights, bbox_targets, metrics)
        losses_cls, losses_bbox, divisors_cls, divisors_bbox = multi_apply(
            self.loss_single, of_levels, masked, bbox_preds, *targets, strides, bbox_weights
        )
        # the sums over all levels are known only here, so that each level gave its loss and its divisor apart
        divisor_cls, divisor_bbox = (reduce_mean(sum(d)).clamp(min=1) for d in (divisors_cls, divisors_bbox))
        return dict(
            loss_cls=[level / divisor_cls for level in losses_cls],
            loss_bbox=[level / divisor_bbox for level in losses_bbox],
        )

    def scores_for_loss(
        self,
        scores: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        img_metas: list[ImgMeta],
        class_wise: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """As of :class:`BaseDenseHead`, of scores in [0, 1]; 0 where a negative says nothing of a class."""
        if not self.masks_scores(img_metas, scores.device):
            return scores, label_weights
        # the base class masks logits; what it changed is found by comparing, and masked in the scores
        logits = scores.detach().logit()
        masked, label_weights = super().scores_for_loss(logits, labels, label_weights, img_metas, class_wise)
        return scores.masked_fill(masked != logits, 0), label_weights

    def get_targets(
        self,
        cls_scores: Tensor,
        bbox_preds: Tensor,
        anchor_list: list[list[Tensor]],
        valid_flag_list: list[list[Tensor]],
        gt_bboxes_list: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore_list: list[Tensor] | None = None,
        gt_labels_list: list[Tensor] | None = None,
        label_channels: int = 1,
        unmap_outputs: bool = True,
    ) -> tuple[list[Tensor], ...]:
        """Targets of a batch, by level; further arguments as of :meth:`AnchorHead.get_targets`.

        Args:
            cls_scores: (N, R, C) in [0, 1].
            bbox_preds: (N, R, 4), pixels.

        Returns:
            L times, for all images: anchors (N, H * W, 4), labels and label weights (N, H * W), box targets
            (N, H * W, 4), alignments (N, H * W) of positives (0 of others, 1 in the first epochs), and box weights
            (N, H * W, 4).
        """
        num_imgs, level_sizes = len(img_metas), [len(anchors) for anchors in anchor_list[0]]
        anchors, flags = ([torch.cat(levels) for levels in found] for found in (anchor_list, valid_flag_list))
        nothing = [None] * num_imgs
        of_images = (gt_bboxes_list, gt_bboxes_ignore_list or nothing, gt_labels_list or nothing, img_metas)
        options = dict(label_channels=label_channels, unmap_outputs=unmap_outputs)
        if self._assigns_initially:
            single, sizes = super()._get_target_single, [level_sizes] * num_imgs
            anchors, labels, weights, boxes, positive, *_ = multi_apply(
                single, anchors, flags, sizes, *of_images, **options
            )
            metrics = tuple(p[..., 0] for p in positive)
        else:
            anchors, labels, weights, boxes, metrics = multi_apply(
                self._get_target_single, cls_scores.detach(), bbox_preds.detach(), anchors, flags, *of_images, **options
            )
        labels, boxes, alignments = torch.stack(labels), torch.stack(boxes), torch.stack(list(metrics))
        positive = (labels != self.num_classes)[..., None].expand_as(boxes).to(boxes)
        targets = self.weigh(
            Targets(labels, torch.stack(weights), boxes, positive),
            img_metas,
            lambda i: greatest_overlaps(anchors[i], gt_bboxes_list[i]),
            objects=lambda: objects_of_boxes(boxes, labels, gt_bboxes_list, gt_labels_list),
        )
        parts: tuple[Tensor, ...] = (torch.stack(anchors), *targets[:3], alignments, targets.bbox_weights)
        return tuple(list(part.split(level_sizes, dim=1)) for part in parts)

    def _get_target_single(
        self,
        cls_scores: Tensor,
        bbox_preds: Tensor,
        flat_anchors: Tensor,
        valid_flags: Tensor,
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None,
        gt_labels: Tensor | None,
        img_meta: ImgMeta,
        label_channels: int = 1,
        unmap_outputs: bool = True,
    ) -> tuple[Tensor, ...]:
        """Targets of one image by alignment, (R, ...): anchors, labels, label weights, box targets, alignments."""
        rows = self._rows_inside(flat_anchors, valid_flags, img_meta)
        anchors = flat_anchors[rows]
        assigned = self.alignment_assigner.assign(
            cls_scores[rows], bbox_preds[rows], anchors, gt_bboxes, gt_bboxes_ignore, gt_labels, self.alpha, self.beta
        )
        # the sampler reads what the image says of its negatives
        sampled = self.sampler.sample(assigned, anchors, gt_bboxes, img_metas=img_meta)
        pos, gts = sampled.pos_inds, sampled.pos_assigned_gt_inds
        metrics = normalised_alignment(assigned.assign_metrics[pos], assigned.max_overlaps[pos], gts, len(gt_bboxes))
        count, rows = output_rows(rows, len(flat_anchors), unmap_outputs)
        samples = (count, rows, sampled, gt_labels, sampled.pos_gt_bboxes)
        targets = targets_of_sample(*samples, self.num_classes, self.train_cfg.pos_weight)
        return flat_anchors if unmap_outputs else anchors, *targets[:3], scatter_rows(metrics, count, rows[pos])

    def _class_scores(self, logits: Tensor) -> Tensor:
        return logits  # ``forward`` gives probabilities

    def _boxes_of_level(self, level: int, priors: Tensor, deltas: Tensor, max_shape: tuple[int, ...]) -> Tensor:
        return deltas * self.prior_generator.strides[level][0]  # ``forward`` gives boxes, in strides
