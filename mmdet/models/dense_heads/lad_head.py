"""Label assignment distillation: a teacher says which anchors are positives (https://arxiv.org/abs/2108.10520)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.functional.rows import to_full_precision
from mmdet.models.dense_heads.paa_head import PAAHead


@HEADS.register_module()
class LADHead(PAAHead):
    """The head of a teacher, which assigns, or of a student, which is trained with the teacher's targets.

    The images' weights have no part in the assignment; they weigh the student's losses.
    """

    @torch.no_grad()
    def get_label_assignment(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        iou_preds: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> tuple[Tensor, Targets]:
        """Anchors (R, 4) and targets (N, R, ...) that these predictions choose; arguments as of :meth:`PAAHead.loss`.

        ``iou_preds`` are not used.
        """
        maps = to_full_precision(cls_scores), to_full_precision(bbox_preds)
        return self.choose_targets(*maps, gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore)

    def loss(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        iou_preds: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
        label_assignment_results: tuple[Tensor, Targets] | None = None,
    ) -> dict[str, Tensor]:
        """As of :class:`PAAHead`, with targets of a teacher.

        Args:
            label_assignment_results: what :meth:`get_label_assignment` of the teacher gave; None: the head assigns
                by its own predictions.
        """
        scores, deltas, ious = map(to_full_precision, (cls_scores, bbox_preds, iou_preds))
        if label_assignment_results is None:
            truth = (gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore)
            label_assignment_results = self.get_label_assignment(scores, deltas, ious, *truth)
        anchors, targets = label_assignment_results
        return self.loss_of_targets(scores, deltas, ious, anchors, targets, gt_bboxes, img_metas)

    def _box_loss(self, boxes: Tensor, wanted: Tensor, ious: Tensor, weights: Tensor, num_pos: Tensor) -> Tensor:
        """As of :class:`PAAHead`, but that all positives count alike."""
        return self.loss_bbox(boxes, wanted, weights, avg_factor=num_pos)

    def forward_train(
        self,
        x: Sequence[Tensor],
        label_assignment_results: tuple[Tensor, Targets] | None,
        img_metas: list[ImgMeta],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor] | None = None,
        gt_bboxes_ignore: list[Tensor] | None = None,
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """Losses of a batch, from its L feature maps; see :meth:`loss`."""
        scores, deltas, ious = self(x)
        truth: Any = (gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore, label_assignment_results)
        return self.loss(scores, deltas, ious, *truth)
