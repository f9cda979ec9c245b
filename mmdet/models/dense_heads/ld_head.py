"""Localisation distillation: the distributions of sides are learnt from a teacher, too (arXiv:2102.12252)."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from mmdet.core.img_meta import ImgMeta
from mmdet.core.utils.dist_utils import reduce_mean
from mmdet.core.utils.misc import multi_apply
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.dense_heads.functional.rows import positive_rows, rows_of_level, to_full_precision
from mmdet.models.dense_heads.gfl_head import GFLHead

MIN_DIVISOR = 1e-6  # added to the sum of the positives' confidences
# Default argument; every builder copies it.
LOCALISATION_LOSS = dict(type='LocalizationDistillationLoss', loss_weight=0.25, T=10)


@HEADS.register_module()
class LDHead(GFLHead):
    """The head of a student that learns from a :class:`GFLHead`.

    Args:
        num_classes: K, without background.
        in_channels: channels of the feature maps.
        loss_ld: config of the loss between the positives' distributions and the teacher's.
        kwargs: other arguments of :class:`GFLHead`.
    """

    def __init__(self, num_classes: int, in_channels: int, loss_ld: dict = LOCALISATION_LOSS, **kwargs: Any) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        self.loss_ld = build_loss(loss_ld)

    def forward_train(
        self,
        x: Sequence[Tensor],
        out_teacher: Sequence[Sequence[Tensor]],
        img_metas: list[ImgMeta],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor] | None = None,
        gt_bboxes_ignore: list[Tensor] | None = None,
        proposal_cfg: dict | None = None,
        **kwargs: Any,
    ) -> dict | tuple[dict, list]:
        """As of :class:`BaseDenseHead`; ``out_teacher`` is what the teacher's head gave for the same images."""
        outs = self(x)
        truth: Any = (gt_bboxes, gt_labels, out_teacher[1], img_metas, gt_bboxes_ignore)
        losses = self.loss(*outs, *truth)
        if proposal_cfg is None:
            return losses
        return losses, self._training_proposals(outs, img_metas, proposal_cfg)

    def loss_single(
        self,
        anchors: Tensor,
        cls_score: Tensor,
        bbox_pred: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        bbox_targets: Tensor,
        stride: tuple[int, int],
        soft_targets: Tensor,
        num_total_samples: float | Tensor,
        bbox_weights: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Losses of one level, as of :meth:`GFLHead.loss_single`.

        Args:
            soft_targets: (N, 4 * (reg_max + 1), H, W), the teacher's distributions.

        Returns:
            quality loss, box loss and distribution loss (sums), distillation loss, and the divisor of the second and
            the third.
        """
        losses = super().loss_single(
            anchors, cls_score, bbox_pred, labels, label_weights, bbox_targets, stride, num_total_samples, bbox_weights
        )
        labels = labels.flatten()
        pos = positive_rows(labels, self.num_classes)
        student, teacher = (
            rows_of_level(level, 4 * (self.reg_max + 1))[pos].reshape(-1, self.reg_max + 1)
            for level in (bbox_pred, soft_targets)
        )
        scores = rows_of_level(cls_score.detach(), self.cls_out_channels)[pos]
        weights = scores.sigmoid().amax(dim=1)
        if bbox_weights is not None:
            weights = weights * bbox_weights.reshape(-1, 4)[pos, 0]
        loss_ld = self.loss_ld(student, teacher, weight=weights.repeat_interleave(4), avg_factor=4.0)
        return (*losses[:3], loss_ld, losses[3])

    def loss(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        soft_target: Sequence[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, list[Tensor]]:
        """``loss_cls``, ``loss_bbox``, ``loss_dfl`` and ``loss_ld``, one tensor a level each.

        Args:
            cls_scores: L maps (N, C, H, W).
            bbox_preds: L maps (N, 4 * (reg_max + 1), H, W).
            gt_bboxes: N times (G, 4).
            gt_labels: N times (G,).
            soft_target: L maps (N, 4 * (reg_max + 1), H, W), the teacher's.
            img_metas: meta information of the N images.
            gt_bboxes_ignore: N times (G', 4), or None.
        """
        cls_scores, bbox_preds, soft_target = map(to_full_precision, (cls_scores, bbox_preds, soft_target))
        _, found = self.targets_of_maps(cls_scores, gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore)
        anchors, labels, label_weights, bbox_targets, bbox_weights, num_pos, _ = found
        cls_scores, label_weights = self.score_maps_for_loss(cls_scores, labels, label_weights, img_metas)
        num_samples = reduce_mean(cls_scores[0].new_full((), float(num_pos))).clamp(min=1)
        targets, strides = (labels, label_weights, bbox_targets), self.prior_generator.strides
        counts = [num_samples] * len(anchors)
        losses_cls, losses_bbox, losses_dfl, losses_ld, divisors = multi_apply(
            self.loss_single, anchors, cls_scores, bbox_preds, *targets, strides, soft_target, counts, bbox_weights
        )
        divisor = reduce_mean(sum(divisors) + MIN_DIVISOR)
        losses_bbox, losses_dfl = ([level / divisor for level in losses] for losses in (losses_bbox, losses_dfl))
        return dict(loss_cls=losses_cls, loss_bbox=losses_bbox, loss_dfl=losses_dfl, loss_ld=losses_ld)
