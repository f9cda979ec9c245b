"""RetinaNet's head with prime sample attention (https://arxiv.org/abs/1904.04821)."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.functional.rows import rows_of_images, to_full_precision
from mmdet.models.dense_heads.retina_head import RetinaHead
from mmdet.models.losses.pisa_loss import carl_loss, isr_p


def flatten_batch(maps: Sequence[Tensor], width: int) -> Tensor:
    """L maps (N, A * width, H, W) -> (N * R, width), image after image, in each level after level."""
    return rows_of_images(maps, width).flatten(0, 1)


@HEADS.register_module()
class PISARetinaHead(RetinaHead):
    """Positives weigh by how well their boxes fit; constructor as :class:`RetinaHead`.

    ``train_cfg`` says how: ``isr`` are the settings of :func:`isr_p` (weights of positives) and ``carl`` those of
    :func:`carl_loss` (``loss_carl``); both may be absent. Where images have weights, these multiply, so that the loss
    stays linear in them.
    """

    def loss(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """``loss_cls``, ``loss_bbox`` and, with ``carl``, ``loss_carl``; arguments as of :meth:`AnchorHead.loss`."""
        cls_scores, bbox_preds = to_full_precision(cls_scores), to_full_precision(bbox_preds)
        truth = (gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore)
        anchors, found = self.targets_of_maps(cls_scores, *truth, return_sampling_results=True)
        *targets, num_pos, num_neg, sampling_results = found[:7]
        cls_scores, targets[1] = self.score_maps_for_loss(cls_scores, targets[0], targets[1], img_metas)
        labels, label_weights, bbox_targets, bbox_weights = (torch.cat(t, dim=1).flatten(0, 1) for t in targets)
        scores, deltas = flatten_batch(cls_scores, self.cls_out_channels), flatten_batch(bbox_preds, 4)
        if self.train_cfg.get('isr') is not None:
            flat_anchors = torch.cat([level for image in anchors for level in image])
            all_targets = (labels, torch.ones_like(label_weights), bbox_targets, bbox_weights)
            label_weights = label_weights * self._isr_factors(
                scores, deltas, all_targets, flat_anchors, sampling_results
            )
        divisor = num_pos + num_neg if self.sampling else num_pos
        losses = dict(
            loss_cls=self.loss_cls(scores, labels, label_weights, avg_factor=divisor),
            loss_bbox=self.loss_bbox(deltas, bbox_targets, bbox_weights, avg_factor=divisor),
        )
        if self.train_cfg.get('carl') is not None:
            positive = (labels >= 0) & (labels < self.num_classes)
            losses |= carl_loss(
                scores,
                labels,
                deltas,
                bbox_targets,
                partial(self.loss_bbox, weight=bbox_weights[positive]),
                **self.train_cfg.carl,
                avg_factor=num_pos,
                sigmoid=True,
                num_class=self.num_classes,
            )
        return losses

    def _isr_factors(self, scores: Tensor, deltas: Tensor, targets: tuple, anchors: Tensor, sampled: list) -> Tensor:
        """(N * R,) factors of the label weights: by importance for positives, 1 for others."""
        with torch.no_grad():
            return isr_p(
                scores,
                deltas,
                targets,
                anchors,
                sampled,
                loss_cls=self.loss_cls,
                bbox_coder=self.bbox_coder,
                num_class=self.num_classes,
                **self.train_cfg.isr,
            )[1]
