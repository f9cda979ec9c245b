"""SSD's head with prime sample attention (https://arxiv.org/abs/1904.04821)."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.ssd_head import FlatBatch, SSDHead
from mmdet.models.losses.pisa_loss import carl_loss, isr_p
from mmdet.models.losses.smooth_l1_loss import SmoothL1Loss


@HEADS.register_module()
class PISASSDHead(SSDHead):
    """Positives weigh by how well their boxes fit; constructor as :class:`SSDHead`.

    ``train_cfg`` says how: ``isr`` are the settings of :func:`isr_p` (weights of positives) and ``carl`` those of
    :func:`carl_loss` (``loss_carl``); both may be absent. Where images have weights, these multiply, so that
    ``loss_bbox`` and ``loss_carl`` stay linear in them.
    """

    def loss(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, list[Tensor] | Tensor]:
        """``loss_cls`` and ``loss_bbox``, one tensor an image each, and with ``carl`` ``loss_carl``."""
        batch = self._flat_batch(cls_scores, bbox_preds, gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore)
        if self.train_cfg.get('isr') is not None:
            batch = batch._replace(label_weights=batch.label_weights * self._isr_factors(batch))
        losses: dict[str, list[Tensor] | Tensor] = {**self._losses_of_images(batch)}
        if self.train_cfg.get('carl') is not None:
            losses.update(self._carl_loss(batch))
        return losses

    @torch.no_grad()
    def _isr_factors(self, batch: FlatBatch) -> Tensor:
        """(N, R) factors of the label weights: by importance for positives, 1 for others."""
        ones = torch.ones_like(batch.label_weights)
        targets = (batch.labels, ones, batch.bbox_targets, batch.bbox_weights)
        factors = isr_p(
            batch.scores.flatten(0, 1),
            batch.deltas.flatten(0, 1),
            Targets(*(target.flatten(0, 1) for target in targets)),
            batch.anchors.flatten(0, 1),
            batch.sampling_results,
            loss_cls=self.loss_cls,
            bbox_coder=self.bbox_coder,
            num_class=self.num_classes,
            **self.train_cfg.isr,
        )[1]
        return factors.view_as(ones)

    def _carl_loss(self, batch: FlatBatch) -> dict[str, Tensor]:
        """``loss_carl``; the box weights, where an image's weight stands, multiply it."""
        labels = batch.labels.flatten()
        positive = (labels >= 0) & (labels < self.num_classes)
        return carl_loss(
            batch.scores.flatten(0, 1),
            labels,
            batch.deltas.flatten(0, 1),
            batch.bbox_targets.flatten(0, 1),
            partial(SmoothL1Loss(beta=1.0), weight=batch.bbox_weights.flatten(0, 1)[positive]),
            **self.train_cfg.carl,
            avg_factor=batch.num_pos,
            num_class=self.num_classes,
        )
