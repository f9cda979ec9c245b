"""Generalised focal loss: scores that are qualities, and sides that are distributions (arXiv:2006.04388)."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from mmcv.cnn import Scale
from torch import Tensor, nn
from torch.nn import functional

from mmdet.core.img_meta import ImgMeta
from mmdet.core.utils.dist_utils import reduce_mean
from mmdet.core.utils.misc import multi_apply
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.dense_heads.anchor_free_head import DISTANCE_CODER
from mmdet.models.dense_heads.anchor_head import AnchorHead
from mmdet.models.dense_heads.atss_head import ATSSHead
from mmdet.models.dense_heads.functional.rows import positive_rows, rows_of_level, to_full_precision
from mmdet.models.dense_heads.functional.towers import GROUP_NORM, conv_tower, rare_classes
from mmdet.models.losses.iou_loss import aligned_iou

# Default arguments, never written to.
RARE_CLASSES = rare_classes('gfl_cls')

# Default argument; every builder copies it.
DISTRIBUTION_LOSS = dict(type='DistributionFocalLoss', loss_weight=0.25)


class Integral(nn.Module):
    """Mean of a distribution over the numbers 0 ... ``reg_max``.

    Args:
        reg_max: greatest number.
    """

    def __init__(self, reg_max: int = 16) -> None:
        super().__init__()
        self.reg_max = reg_max
        self.register_buffer('project', torch.linspace(0, reg_max, reg_max + 1))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the four sides, (..., 4 * (reg_max + 1)) with n rows in all -> means (n, 4)."""
        probabilities = x.reshape(-1, self.reg_max + 1).softmax(dim=1)
        return functional.linear(probabilities, cast(Tensor, self.project).to(x)[None]).reshape(-1, 4)


@HEADS.register_module()
class GFLHead(AnchorHead):
    """Class scores that also say how well the box fits, and a distribution of the distance to each side.

    There is one anchor a cell, which only serves the assigner; boxes are distances from its centre, in strides.

    Args:
        num_classes: K, without background.
        in_channels: channels of the feature maps.
        stacked_convs: 3x3 convolutions in each tower.
        conv_cfg: kind of these convolutions; None: ``Conv2d``.
        norm_cfg: normalisation after each.
        loss_dfl: config of the loss of the distributions.
        bbox_coder: config of the coder between points and boxes.
        reg_max: greatest distance, in strides.
        init_cfg: initialisation of the weights.
        kwargs: other arguments of :class:`AnchorHead`; the assigner looks at the levels one by one.

    Raises:
        ValueError: there is not one anchor a cell, or a stride differs in x and y.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        stacked_convs: int = 4,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = GROUP_NORM,
        loss_dfl: dict = DISTRIBUTION_LOSS,
        bbox_coder: dict = DISTANCE_CODER,
        reg_max: int = 16,
        init_cfg: dict | list | None = RARE_CLASSES,
        **kwargs: Any,
    ) -> None:
        self.stacked_convs = stacked_convs
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self.reg_max = reg_max
        super().__init__(num_classes, in_channels, bbox_coder=bbox_coder, init_cfg=init_cfg, **kwargs)
        self.reg_decoded_bbox = True  # the targets are boxes, whatever is asked for
        self.integral = Integral(reg_max)
        self.loss_dfl = build_loss(loss_dfl)

    def _init_layers(self) -> None:
        self.relu = nn.ReLU(inplace=True)
        if self.num_base_priors != 1 or any(x != y for x, y in self.prior_generator.strides):
            raise ValueError(
                f'{type(self).__name__} needs one anchor a cell and square cells; its anchor generator has '
                f'{self.num_base_priors} anchors and strides {self.prior_generator.strides}'
            )
        tower = (self.in_channels, self.feat_channels, self.stacked_convs, self.conv_cfg, self.norm_cfg)
        self.cls_convs = conv_tower(*tower)
        self.reg_convs = conv_tower(*tower)
        self.gfl_cls = nn.Conv2d(self.feat_channels, self.cls_out_channels, 3, padding=1)
        self.gfl_reg = nn.Conv2d(self.feat_channels, 4 * (self.reg_max + 1), 3, padding=1)
        self.scales = nn.ModuleList(Scale(1.0) for _ in self.prior_generator.strides)

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """L feature maps -> L maps of both kinds of :meth:`forward_single`."""
        return multi_apply(self.forward_single, feats, self.scales)

    def forward_single(self, x: Tensor, scale: nn.Module) -> tuple[Tensor, Tensor]:
        """One level (N, in_channels, H, W) -> scores (N, C, H, W), distributions (N, 4 * (reg_max + 1), H, W).

        ``scale`` is a factor of the distributions' logits.
        """
        cls_feat = reg_feat = x
        for cls_conv, reg_conv in zip(self.cls_convs, self.reg_convs):
            cls_feat, reg_feat = cls_conv(cls_feat), reg_conv(reg_feat)
        return self.gfl_cls(cls_feat), scale(self.gfl_reg(reg_feat)).float()

    def anchor_center(self, anchors: Tensor) -> Tensor:
        """Anchors (n, 4) -> centres (n, 2), x and y."""
        return (anchors[..., :2] + anchors[..., 2:]) / 2

    def loss_single(
        self,
        anchors: Tensor,
        cls_score: Tensor,
        bbox_pred: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        bbox_targets: Tensor,
        stride: tuple[int, int],
        num_total_samples: float | Tensor,
        bbox_weights: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Losses of one level.

        Args:
            anchors: (N, H * W, 4).
            cls_score: (N, C, H, W).
            bbox_pred: (N, 4 * (reg_max + 1), H, W).
            labels: (N, H * W).
            label_weights: (N, H * W).
            bbox_targets: (N, H * W, 4), pixels.
            stride: pixels of a cell, in x and y.
            num_total_samples: divisor of the quality loss.
            bbox_weights: (N, H * W, 4), of the box and the distribution loss; None: 1.

        Returns:
            quality loss, box loss and distribution loss (sums), and the divisor of these two.
        """
        cls_score = rows_of_level(cls_score, self.cls_out_channels)
        bbox_pred = rows_of_level(bbox_pred, 4 * (self.reg_max + 1))
        labels = labels.reshape(-1)
        pos = positive_rows(labels, self.num_classes)
        centres = self.anchor_center(anchors.reshape(-1, 4)[pos]) / stride[0]
        targets, logits = bbox_targets.reshape(-1, 4)[pos] / stride[0], bbox_pred[pos]
        boxes = self.bbox_coder.decode(centres, self.integral(logits))
        # detached: the score learns to tell how good a box is, boxes must not get worse to match it
        quality = label_weights.new_zeros(labels.shape).index_copy(0, pos, aligned_iou(boxes.detach(), targets))
        # boxes that will be kept in a test, because they score high, count more; no way for gradients to the scores
        confidence = cls_score.detach()[pos].sigmoid().amax(dim=1)
        weights = confidence if bbox_weights is None else confidence * bbox_weights.reshape(-1, 4)[pos, 0]
        loss_cls = self.loss_cls(
            cls_score, (labels, quality), weight=label_weights.reshape(-1), avg_factor=num_total_samples
        )
        loss_bbox = self.loss_bbox(boxes, targets, weight=weights, avg_factor=1.0)
        loss_dfl = self.loss_dfl(
            logits.reshape(-1, self.reg_max + 1),
            self.bbox_coder.encode(centres, targets, self.reg_max).reshape(-1),
            weight=weights.repeat_interleave(4),
            avg_factor=4.0,
        )
        return loss_cls, loss_bbox, loss_dfl, confidence.sum()

    def loss(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, list[Tensor]]:
        """``loss_cls``, ``loss_bbox`` and ``loss_dfl``, one tensor a level each.

        Args:
            cls_scores: L maps (N, C, H, W).
            bbox_preds: L maps (N, 4 * (reg_max + 1), H, W).
            gt_bboxes: N times (G, 4).
            gt_labels: N times (G,).
            img_metas: meta information of the N images.
            gt_bboxes_ignore: N times (G', 4), or None.
        """
        cls_scores, bbox_preds = to_full_precision(cls_scores), to_full_precision(bbox_preds)
        _, found = self.targets_of_maps(cls_scores, gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore)
        anchors, labels, label_weights, bbox_targets, bbox_weights, num_pos, _ = found
        cls_scores, label_weights = self.score_maps_for_loss(cls_scores, labels, label_weights, img_metas)
        num_samples = reduce_mean(cls_scores[0].new_full((), num_pos)).clamp(min=1)
        targets, counts = (labels, label_weights, bbox_targets), [num_samples] * len(anchors)
        losses_cls, losses_bbox, losses_dfl, divisors = multi_apply(
            self.loss_single,
            anchors,
            cls_scores,
            bbox_preds,
            *targets,
            self.prior_generator.strides,
            counts,
            bbox_weights,
        )
        divisor = reduce_mean(sum(divisors)).clamp(min=1)
        losses_bbox, losses_dfl = ([level / divisor for level in losses] for losses in (losses_bbox, losses_dfl))
        return dict(loss_cls=losses_cls, loss_bbox=losses_bbox, loss_dfl=losses_dfl)

    @property
    def reg_width(self) -> int:
        """Channels that say an anchor's box: a distribution for each side."""
        return 4 * (self.reg_max + 1)

    def _boxes_of_level(self, level: int, priors: Tensor, deltas: Tensor, max_shape: tuple[int, ...]) -> Tensor:
        """Distributions (k, 4 * (reg_max + 1)) of the distances from the anchors' middles -> boxes (k, 4)."""
        distances = self.integral(deltas) * self.prior_generator.strides[level][0]
        return self.bbox_coder.decode(self.anchor_center(priors), distances, max_shape=max_shape)

    # the assigner looks at the levels one by one, as in ATSS
    get_targets: Any = ATSSHead.get_targets
    _get_target_single = ATSSHead._get_target_single
    _get_targets_single: Any = ATSSHead._get_targets_single
    get_num_level_anchors_inside = ATSSHead.get_num_level_anchors_inside
