"""The RoI head of PISA, prime sample attention (https://arxiv.org/abs/1904.04821)."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from mmdet.core.bbox.transforms import bbox2roi
from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets
from mmdet.models.builder import HEADS
from mmdet.models.losses.pisa_loss import carl_loss, isr_p
from mmdet.models.roi_heads.functional.compat import box_losses, call_with_img_metas
from mmdet.models.roi_heads.functional.training_batch import needed_masks
from mmdet.models.roi_heads.standard_roi_head import StandardRoIHead, to_numpy
from mmdet.models.roi_heads.test_mixins import Features


@HEADS.register_module()
class PISARoIHead(StandardRoIHead):
    """Prime samples weigh more in the loss; constructor as :class:`StandardRoIHead`.

    ``train_cfg`` says how: with a ``ScoreHLRSampler`` negatives weigh as it says, ``isr`` are the settings of
    :func:`isr_p` (weights of positives) and ``carl`` those of :func:`carl_loss` (``loss_carl``); any may be absent.
    Where the box head weighs images, the weights multiply, so that the loss stays linear in an image's weight.
    """

    def forward_train(
        self,
        x: Features,
        img_metas: list[ImgMeta],
        proposal_list: list[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        gt_bboxes_ignore: list[Tensor] | None = None,
        gt_masks: list[Any] | None = None,
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """Losses of a batch; see :meth:`StandardRoIHead.forward_train`. With ``carl`` also ``loss_carl``."""
        sampled = self._sample(x, img_metas, proposal_list, gt_bboxes, gt_labels, gt_bboxes_ignore)
        # a sampler that weighs negatives gives pairs, others the sampling results alone
        pairs = [result if isinstance(result, tuple) else (result, None) for result in sampled]
        self.sampling_results, neg_label_weights = (list(part) for part in zip(*pairs))
        losses = {}
        bbox_feats = None
        if self.with_bbox:
            bbox_results = self._bbox_forward_train(
                x, self.sampling_results, gt_bboxes, gt_labels, img_metas, neg_label_weights
            )
            bbox_feats = bbox_results['bbox_feats']
            losses.update(bbox_results['loss_bbox'])
        if self.with_mask:
            masks = needed_masks(gt_masks)
            mask_results = self._mask_forward_train(x, self.sampling_results, bbox_feats, masks, img_metas)
            losses.update(mask_results['loss_mask'])
        return losses

    def _bbox_forward_train(
        self,
        x: Features,
        sampling_results: list[Any],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        neg_label_weights: list[Tensor | None] | None = None,
    ) -> dict[str, Any]:
        """As in :class:`StandardRoIHead`; ``neg_label_weights`` are, for each image, (M,) weights of its negatives."""
        head = self.bbox_head
        rois = bbox2roi([res.bboxes for res in sampling_results])
        results = self._bbox_forward(x, rois)
        scores, boxes = results['cls_score'], results['bbox_pred']
        targets = call_with_img_metas(
            head.get_targets, sampling_results, gt_bboxes, gt_labels, self.train_cfg, img_metas=img_metas
        )
        labels, label_weights, bbox_targets, bbox_weights = targets
        factors = sample_factors(sampling_results, neg_label_weights, label_weights)
        if self.train_cfg.get('isr') is not None:
            rows = Targets(labels, factors, bbox_targets, bbox_weights)
            factors = self._isr_factors(scores, boxes, rois=rois, targets=rows, sampling_results=sampling_results)
        weighted = labels, label_weights * factors, bbox_targets, bbox_weights
        losses = box_losses(head, results, rois, weighted, img_metas)
        if self.train_cfg.get('carl') is not None:
            losses.update(self._carl_loss(scores, boxes, targets))
        results.update(loss_bbox=losses)
        if self.keep_debug_results:
            self.debug_results = dict(features=to_numpy(results['bbox_feats']), labels=to_numpy(labels))
        return results

    def _isr_factors(
        self, cls_score: Tensor, bbox_pred: Tensor, targets: Targets, rois: Tensor, sampling_results: list[Any]
    ) -> Tensor:
        """(n,) factors of the label weights, those of positives by importance; ``targets`` hold the others."""
        return isr_p(
            cls_score,
            bbox_pred,
            targets,
            rois,
            sampling_results,
            self.bbox_head.loss_cls,
            self.bbox_head.bbox_coder,
            **self.train_cfg.isr,
            num_class=self.bbox_head.num_classes,
        )[1]

    def _carl_loss(self, cls_score: Tensor, bbox_pred: Tensor, targets: Targets) -> dict[str, Tensor]:
        """``loss_carl``; the box weights, where an image's weight stands, multiply it."""
        labels, _, bbox_targets, bbox_weights = targets
        positive = (labels >= 0) & (labels < self.bbox_head.num_classes)
        return carl_loss(
            cls_score,
            labels,
            bbox_pred,
            bbox_targets,
            partial(self.bbox_head.loss_bbox, weight=bbox_weights[positive]),
            **self.train_cfg.carl,
            num_class=self.bbox_head.num_classes,
        )


def sample_factors(sampling_results: list[Any], neg_label_weights: list[Tensor | None] | None, like: Tensor) -> Tensor:
    """Factors (n,) of the label weights: 1 for positives, the sampler's weight for negatives, 1 where it gave none."""
    factors = []
    for res, weights in zip(sampling_results, neg_label_weights or [None] * len(sampling_results)):
        factors.append(like.new_ones(len(res.pos_bboxes)))
        factors.append(like.new_ones(len(res.neg_bboxes)) if weights is None else weights.to(like))
    return torch.cat(factors)
