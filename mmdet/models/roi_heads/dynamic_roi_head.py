"""The RoI head of Dynamic R-CNN: its demands rise as the proposals get better."""

from collections.abc import Sequence
from statistics import fmean, median
from typing import Any

import torch
from torch import Tensor

from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import HEADS
from mmdet.models.losses.smooth_l1_loss import SmoothL1Loss
from mmdet.models.roi_heads.functional.training_batch import TrainingBatch, assign_and_sample
from mmdet.models.roi_heads.standard_roi_head import StandardRoIHead
from mmdet.models.roi_heads.test_mixins import Features

SMALLEST_BETA = 1e-15  # of errors; a median below it tells nothing about how good the boxes are


def kth_overlap(max_overlaps: Sequence[Tensor], k: int) -> Tensor:
    """N times (n_i,) IoUs of an image's proposals -> scalar: the mean over images of the k-th largest.

    An image with fewer proposals gives its smallest; one without any gives 0.
    """
    best = [ious.topk(min(k, len(ious))).values[-1:] for ious in max_overlaps]
    return torch.stack([part.sum() for part in best]).mean()


def kth_error(deltas: Tensor, k: int) -> Tensor:
    """Box codes (p, 4), p and k >= 1 -> scalar: the k-th smallest mean of a box's abs(dx) and abs(dy)."""
    return deltas[:, :2].abs().mean(dim=1).kthvalue(min(k, len(deltas))).values


@HEADS.register_module()
class DynamicRoIHead(StandardRoIHead):
    """Dynamic R-CNN (https://arxiv.org/abs/2004.06002).

    ``train_cfg.dynamic_rcnn`` has ``iou_topk``, ``beta_topk``, ``update_iter_interval``, ``initial_iou`` and
    ``initial_beta``. After each ``update_iter_interval`` training passes the assigner's IoU thresholds and the
    ``beta`` of the box loss are set anew; see :meth:`update_hyperparameters`. They are not part of a checkpoint: a
    resumed training starts with those of its config and finds its own after one interval.

    Args:
        kwargs: those of :class:`StandardRoIHead`.

    Attributes:
        iou_history, beta_history: one scalar tensor for each pass since the last update.

    Raises:
        TypeError: the box loss is no SmoothL1Loss.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(self.bbox_head.loss_bbox, SmoothL1Loss):
            raise TypeError(
                f'{type(self).__name__} adapts the beta of SmoothL1Loss; loss_bbox is a '
                f'{type(self.bbox_head.loss_bbox).__name__}'
            )
        self.iou_history: list[Tensor] = []
        self.beta_history: list[Tensor] = []

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
        """Losses as of :meth:`StandardRoIHead.forward_train`; each interval's last pass ends with an update."""
        losses = super().forward_train(
            x, img_metas, proposal_list, gt_bboxes, gt_labels, gt_bboxes_ignore, gt_masks, **kwargs
        )
        if len(self.iou_history) >= self.train_cfg.dynamic_rcnn.update_iter_interval:
            self.update_hyperparameters()
        return losses

    def _sample(
        self,
        x: Features,
        img_metas: list[ImgMeta],
        proposal_list: list[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        gt_bboxes_ignore: list[Tensor] | None,
    ) -> list[Any]:
        """Assign the proposals of each image and sample from them; note how well they overlap."""
        batch = TrainingBatch(x, img_metas, gt_bboxes, gt_labels, gt_bboxes_ignore, None)
        assigned, sampled = assign_and_sample(self.bbox_assigner, self.bbox_sampler, batch, proposal_list)
        overlaps = [result.max_overlaps for result in assigned]
        self.iou_history.append(kth_overlap(overlaps, self.train_cfg.dynamic_rcnn.iou_topk).detach())
        return sampled

    def _bbox_forward_train(
        self,
        x: Features,
        sampling_results: list[Any],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
    ) -> dict[str, Any]:
        """As of :meth:`StandardRoIHead._bbox_forward_train`; note how far the positives are from their objects."""
        bbox_results = super()._bbox_forward_train(x, sampling_results, gt_bboxes, gt_labels, img_metas)
        deltas = self._positive_deltas(sampling_results)
        if len(deltas):
            k = self.train_cfg.dynamic_rcnn.beta_topk * len(img_metas)
            self.beta_history.append(kth_error(deltas, k).detach())
        return bbox_results

    def _positive_deltas(self, sampling_results: list[Any]) -> Tensor:
        """(p, 4): what the box loss regresses for the positives of a batch, whatever their images' weights."""
        objects = torch.cat([res.pos_gt_bboxes for res in sampling_results])
        if self.bbox_head.reg_decoded_bbox:
            return objects
        return self.bbox_head.bbox_coder.encode(torch.cat([res.pos_bboxes for res in sampling_results]), objects)

    def update_hyperparameters(self) -> tuple[float, float]:
        """Set the assigner's IoU thresholds and the beta of the box loss; the histories start anew.

        The thresholds become the mean of ``iou_history``, at least ``initial_iou``; beta becomes the median of
        ``beta_history``, at most ``initial_beta``. Without positives, or with none that is off, beta stays.

        Returns:
            The new threshold and the new beta.
        """
        cfg = self.train_cfg.dynamic_rcnn
        overlaps, errors = (torch.stack(h).tolist() if h else [] for h in (self.iou_history, self.beta_history))
        self.iou_history, self.beta_history = [], []
        new_iou = max(cfg.initial_iou, fmean(overlaps)) if overlaps else self.bbox_assigner.pos_iou_thr
        for name in ('pos_iou_thr', 'neg_iou_thr', 'min_pos_iou'):
            setattr(self.bbox_assigner, name, new_iou)
        loss = self.bbox_head.loss_bbox
        if errors and median(errors) >= SMALLEST_BETA:
            loss.beta = min(cfg.initial_beta, median(errors))
        return new_iou, loss.beta
