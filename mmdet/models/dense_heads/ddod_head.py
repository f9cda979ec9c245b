"""DDOD: assignment, features and supervision of classes and of boxes kept apart (https://arxiv.org/abs/2107.02963)."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import Scale, bias_init_with_prob, normal_init
from torch import Tensor, nn

from mmdet.core.anchor.utils import images_to_levels
from mmdet.core.bbox.builder import build_assigner
from mmdet.core.img_meta import ImgMeta
from mmdet.core.utils.dist_utils import reduce_mean
from mmdet.core.utils.misc import multi_apply
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.dense_heads.anchor_head import AnchorHead
from mmdet.models.dense_heads.atss_head import num_inside
from mmdet.models.dense_heads.functional.rows import (
    output_rows,
    positive_rows,
    rows_of_images,
    rows_of_level,
    sample_counts,
    to_full_precision,
)
from mmdet.models.dense_heads.functional.towers import CENTERNESS_LOSS, GROUP_NORM, conv_tower
from mmdet.models.losses.iou_loss import aligned_iou

DEFORMABLE = dict(type='DCN', deform_groups=1)


def reweight_factors(counts: Sequence[float]) -> list[float]:
    """Numbers of positives of each level -> factors from 1, of the level with most, to 2, of the one with fewest."""
    fewest, most = min(counts), max(counts)
    return [2 - (count - fewest) / (most - fewest + 1e-10) for count in counts]


@HEADS.register_module()
class DDODHead(AnchorHead):
    """Class scores, box deltas and the IoU that lowers the scores of boxes that fit badly.

    Classes and boxes have assigners of their own, which look at scores and boxes as they are predicted. Images'
    weights have no part in that, nor in the numbers of positives by which levels are weighed. A negative is an anchor
    that is none of the classes' positives; it may be a positive of the boxes.

    Args:
        num_classes: K, without background.
        in_channels: channels of the feature maps.
        stacked_convs: 3x3 convolutions in each tower.
        conv_cfg: kind of these convolutions; None: ``Conv2d``.
        use_dcn: the first of each tower is a deformable one.
        norm_cfg: normalisation after each.
        loss_iou: config of the loss of the IoUs.
        kwargs: other arguments of :class:`AnchorHead`; ``train_cfg`` has the further key ``reg_assigner``.

    Attributes:
        cls_num_pos_samples_per_level: positives of each level, of classes and boxes together, since the head was built.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        stacked_convs: int = 4,
        conv_cfg: dict | None = None,
        use_dcn: bool = True,
        norm_cfg: dict | None = GROUP_NORM,
        loss_iou: dict = CENTERNESS_LOSS,
        **kwargs: Any,
    ) -> None:
        self.stacked_convs = stacked_convs
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self.use_dcn = use_dcn
        super().__init__(num_classes, in_channels, **kwargs)
        if self.train_cfg:
            self.cls_assigner = self.assigner
            self.reg_assigner = build_assigner(self.train_cfg.reg_assigner)
        self.loss_iou = build_loss(loss_iou)

    def _init_layers(self) -> None:
        self.relu = nn.ReLU(inplace=True)
        first = min(1, self.stacked_convs) if self.use_dcn else 0
        self.cls_convs, self.reg_convs = self._tower(first), self._tower(first)
        priors, channels = self.num_base_priors, self.feat_channels
        self.atss_cls = nn.Conv2d(channels, priors * self.cls_out_channels, 3, padding=1)
        self.atss_reg = nn.Conv2d(channels, priors * 4, 3, padding=1)
        self.atss_iou = nn.Conv2d(channels, priors, 3, padding=1)
        levels = len(self.prior_generator.strides)
        self.scales = nn.ModuleList(Scale(1.0) for _ in range(levels))
        self.cls_num_pos_samples_per_level = [0.0] * levels
        self.reg_num_pos_samples_per_level = [0.0] * levels

    def _tower(self, deformable: int) -> nn.ModuleList:
        """``stacked_convs`` convolutions, the first so many of them deformable ones."""
        first = conv_tower(self.in_channels, self.feat_channels, deformable, DEFORMABLE, self.norm_cfg, False)
        channels, rest = self.feat_channels if deformable else self.in_channels, self.stacked_convs - deformable
        return first.extend(conv_tower(channels, self.feat_channels, rest, self.conv_cfg, self.norm_cfg))

    def init_weights(self) -> None:
        """Initialise by ``init_cfg``, the deformable convolutions as the others; classes start at 0.01."""
        super().init_weights()
        for layer in (*self.cls_convs[:1], *self.reg_convs[:1]):
            normal_init(layer.conv, std=0.01)
        normal_init(self.atss_cls, std=0.01, bias=bias_init_with_prob(0.01))

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """L feature maps -> L maps of each of the three kinds of :meth:`forward_single`."""
        return multi_apply(self.forward_single, feats, self.scales)

    def forward_single(self, x: Tensor, scale: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
        """One level (N, in_channels, H, W) -> class scores, box deltas and IoUs; ``scale`` is of the deltas.

        Their shapes are (N, A * C, H, W), (N, A * 4, H, W) and (N, A, H, W).
        """
        cls_feat = reg_feat = x
        for layer in self.cls_convs:
            cls_feat = layer(cls_feat)
        for layer in self.reg_convs:
            reg_feat = layer(reg_feat)
        return self.atss_cls(cls_feat), scale(self.atss_reg(reg_feat)).float(), self.atss_iou(reg_feat)

    def loss_cls_single(
        self,
        cls_score: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        reweight_factor: float,
        num_total_samples: float | Tensor,
    ) -> tuple[Tensor]:
        """Classification loss of one level, as the only item of a tuple.

        Args:
            cls_score: (N, A * C, H, W).
            labels, label_weights: (N, H * W * A).
            reweight_factor: of the level.
            num_total_samples: divisor.
        """
        cls_score = rows_of_level(cls_score, self.cls_out_channels)
        loss = self.loss_cls(cls_score, labels.flatten(), label_weights.flatten(), avg_factor=num_total_samples)
        return (reweight_factor * loss,)

    def loss_reg_single(
        self,
        anchors: Tensor,
        bbox_pred: Tensor,
        iou_pred: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        bbox_targets: Tensor,
        bbox_weights: Tensor,
        reweight_factor: float,
        num_total_samples: float | Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Box loss and loss of the IoUs of one level; both are of positives alone.

        Args:
            anchors: (N, H * W * A, 4).
            bbox_pred: (N, A * 4, H, W).
            iou_pred: (N, A, H, W).
            labels: (N, H * W * A).
            label_weights: not used.
            bbox_targets, bbox_weights: (N, H * W * A, 4).
            reweight_factor: of the level.
            num_total_samples: divisor.
        """
        labels = labels.flatten()
        pos = positive_rows(labels, self.num_classes)
        anchors, targets = anchors.reshape(-1, 4)[pos], bbox_targets.reshape(-1, 4)[pos]
        boxes = self.bbox_coder.decode(anchors, rows_of_level(bbox_pred, 4)[pos])
        if not self.reg_decoded_bbox:
            targets = self.bbox_coder.decode(anchors, targets)
        weights = bbox_weights.reshape(-1, 4)[pos, 0]
        loss_bbox = self.loss_bbox(boxes, targets, weight=weights, avg_factor=num_total_samples)
        ious = aligned_iou(boxes.detach(), targets)
        iou_pred = rows_of_level(iou_pred, 1)[pos, 0]
        loss_iou = self.loss_iou(iou_pred, ious, weights, avg_factor=num_total_samples)
        return reweight_factor * loss_bbox, reweight_factor * loss_iou

    def calc_reweight_factor(self, labels_list: Sequence[Tensor]) -> list[float]:
        """Factors of the L levels, from the numbers of positives so far.

        Those of ``labels_list``, L times (N, H * W * A), are added to them.
        """
        counts = torch.stack([((level >= 0) & (level < self.num_classes)).sum() for level in labels_list])
        found = self.cls_num_pos_samples_per_level
        self.cls_num_pos_samples_per_level = [old + new for old, new in zip(found, counts.tolist())]
        return reweight_factors(self.cls_num_pos_samples_per_level)

    def loss(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        iou_preds: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, list[Tensor]]:
        """``loss_cls``, ``loss_bbox`` and ``loss_iou``, one tensor a level each.

        Args:
            cls_scores: L maps (N, A * C, H, W).
            bbox_preds: L maps (N, A * 4, H, W).
            iou_preds: L maps (N, A, H, W).
            gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore: as of :meth:`AnchorHead.loss`.
        """
        cls_scores, bbox_preds, iou_preds = map(to_full_precision, (cls_scores, bbox_preds, iou_preds))
        anchors, flags = self.anchors_of_maps(cls_scores, img_metas)
        inputs = self.process_predictions_and_anchors(
            anchors, flags, cls_scores, bbox_preds, img_metas, gt_bboxes_ignore
        )
        common = (*inputs[:5], gt_bboxes, img_metas, inputs[5], gt_labels, self.cls_out_channels)
        _, labels, label_weights, _, _, num_pos, _ = self.get_cls_targets(*common)
        divisor = reduce_mean(cls_scores[0].new_full((), float(num_pos))).clamp(min=1)
        scores, label_weights = self.score_maps_for_loss(cls_scores, labels, label_weights, img_metas)
        # both calls of calc_reweight_factor count into one sum, see the class: classes first, then boxes
        factors, divisors = self.calc_reweight_factor(labels), [divisor] * len(cls_scores)
        (losses_cls,) = multi_apply(self.loss_cls_single, scores, labels, label_weights, factors, divisors)
        anchors, *targets, num_pos, _ = self.get_reg_targets(*common)
        divisor = reduce_mean(cls_scores[0].new_full((), float(num_pos))).clamp(min=1)
        options = self.calc_reweight_factor(targets[0]), [divisor] * len(cls_scores)
        losses_bbox, losses_iou = multi_apply(self.loss_reg_single, anchors, bbox_preds, iou_preds, *targets, *options)
        return dict(loss_cls=losses_cls, loss_bbox=losses_bbox, loss_iou=losses_iou)

    def process_predictions_and_anchors(
        self,
        anchor_list: list[list[Tensor]],
        valid_flag_list: list[list[Tensor]],
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore_list: list[Tensor] | None,
    ) -> tuple[list, ...]:
        """What both assigners need of each of the N images.

        Returns:
            anchors (R, 4), flags (R,), numbers of anchors of each level (L), scores (R, C), box deltas (R, 4), both
            without gradient, and ignore regions or None.
        """
        num_imgs, sizes = len(img_metas), [len(anchors) for anchors in anchor_list[0]]
        scores, deltas = (
            list(rows_of_images([m.detach() for m in maps], width))
            for maps, width in ((cls_scores, self.cls_out_channels), (bbox_preds, 4))
        )
        return (
            [torch.cat(anchors) for anchors in anchor_list],
            [torch.cat(flags) for flags in valid_flag_list],
            [sizes] * num_imgs,
            scores,
            deltas,
            gt_bboxes_ignore_list or [None] * num_imgs,
        )

    def get_cls_targets(self, *args: Any, **kwargs: Any) -> tuple:
        """Targets of the classes; see :meth:`_get_targets`."""
        return self._get_targets(*args, **dict(is_cls_assigner=True, **kwargs))

    def get_reg_targets(self, *args: Any, **kwargs: Any) -> tuple:
        """Targets of the boxes; see :meth:`_get_targets`."""
        return self._get_targets(*args, **dict(is_cls_assigner=False, **kwargs))

    def _get_targets(
        self,
        anchor_list: list[Tensor],
        valid_flag_list: list[Tensor],
        num_level_anchors_list: list[list[int]],
        cls_score_list: list[Tensor],
        bbox_pred_list: list[Tensor],
        gt_bboxes_list: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore_list: list[Tensor] | None = None,
        gt_labels_list: list[Tensor] | None = None,
        label_channels: int = 1,
        unmap_outputs: bool = True,
        is_cls_assigner: bool = True,
    ) -> tuple:
        """Targets of a batch, by level; the first arguments are what :meth:`process_predictions_and_anchors` gives.

        Returns:
            L times, for all images: anchors (N, H * W * A, 4), labels, label weights (N, H * W * A), box targets and
            box weights (N, H * W * A, 4); then the numbers of positives and of negatives in the batch (each image
            counts at least one of both).
        """
        num_imgs, sizes = len(img_metas), num_level_anchors_list[0]
        anchors, *targets, pos_inds, neg_inds, sampled = multi_apply(
            self._get_target_single,
            anchor_list,
            valid_flag_list,
            cls_score_list,
            bbox_pred_list,
            num_level_anchors_list,
            gt_bboxes_list,
            gt_bboxes_ignore_list or [None] * num_imgs,
            gt_labels_list or [None] * num_imgs,
            img_metas,
            label_channels=label_channels,
            unmap_outputs=unmap_outputs,
            is_cls_assigner=is_cls_assigner,
        )
        counts = sample_counts(pos_inds, neg_inds)
        by_level = self.weigh_by_level(targets, anchors, gt_bboxes_list, img_metas, sizes, sampled)
        return (images_to_levels(anchors, sizes), *by_level, *counts)

    def _get_target_single(
        self,
        flat_anchors: Tensor,
        valid_flags: Tensor,
        cls_scores: Tensor,
        bbox_preds: Tensor,
        num_level_anchors: list[int],
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None,
        gt_labels: Tensor | None,
        img_meta: ImgMeta,
        label_channels: int = 1,
        unmap_outputs: bool = True,
        is_cls_assigner: bool = True,
    ) -> tuple:
        """Anchors (R, 4) of one image, their targets, indices of positives and of negatives, and the sample.

        Further arguments are as of :meth:`ATSSHead._get_target_single`.

        Args:
            cls_scores: (R, C).
            bbox_preds: (R, 4) deltas.
            is_cls_assigner: which of the two assigners.
        """
        rows = self._rows_inside(flat_anchors, valid_flags, img_meta)
        inside = torch.zeros_like(valid_flags, dtype=torch.bool).index_fill(0, rows, True)
        anchors = flat_anchors[rows]
        assigned = (self.cls_assigner if is_cls_assigner else self.reg_assigner).assign(
            anchors,
            self.get_num_level_anchors_inside(num_level_anchors, inside),
            gt_bboxes,
            gt_bboxes_ignore,
            gt_labels,
            cls_scores[rows],
            self.bbox_coder.decode(anchors, bbox_preds[rows]),
        )
        # the sampler reads what the image says of its negatives
        sampled = self.sampler.sample(assigned, anchors, gt_bboxes, img_metas=img_meta)
        targets = self._fill_targets(*output_rows(rows, len(flat_anchors), unmap_outputs), sampled, gt_labels)
        found = flat_anchors if unmap_outputs else anchors
        return (found, *targets, sampled.pos_inds, sampled.neg_inds, sampled)

    def get_num_level_anchors_inside(self, num_level_anchors: list[int], inside_flags: Tensor) -> list[int]:
        """How many of the flags (R,) are true on each level."""
        return num_inside(num_level_anchors, inside_flags)
