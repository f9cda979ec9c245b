"""Probabilistic anchor assignment: a mixture of two Gaussians over losses says what is positive (arXiv:2007.08103)."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from mmcv import ConfigDict
from torch import Tensor

from mmdet.core.bbox.iou_calculators.iou2d_calculator import greatest_overlaps
from mmdet.core.img_meta import ImgMeta
from mmdet.core.post_processing.bbox_nms import multiclass_nms
from mmdet.core.targets import Targets, objects_of_boxes
from mmdet.core.utils.misc import multi_apply
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.anchor_head import AnchorHead
from mmdet.models.dense_heads.atss_head import ATSSHead
from mmdet.models.dense_heads.functional.assignment.candidates import chosen_candidates
from mmdet.models.dense_heads.functional.assignment.gaussian_mixture import COVARIANCE_TYPES
from mmdet.models.dense_heads.functional.box_voting import vote
from mmdet.models.dense_heads.functional.decoding import best_boxes, with_background
from mmdet.models.dense_heads.functional.rows import (
    flatten_map,
    positive_rows,
    rows_of_images,
    to_full_precision,
)
from mmdet.models.losses.iou_loss import aligned_iou
from mmdet.models.utils.settings import as_config
from mmdet.utils.running.device_copy import tensor_like, to_device

MIN_IOU = 1e-12  # least weight of a positive's box loss


def levels_to_images(mlvl_tensor: Sequence[Tensor]) -> list[Tensor]:
    """L maps (N, C, H, W) -> N tensors (sum of H * W, C)."""
    return list(rows_of_images(mlvl_tensor, mlvl_tensor[0].size(1)))


@HEADS.register_module()
class PAAHead(ATSSHead):
    """ATSS's layers, with the IoU of the box in place of the centreness, and positives chosen by their losses.

    An assigner by overlaps gives candidates. Of each object's candidates those are positives whose losses belong to
    the better of two Gaussians. Images' weights have no part in this choice: they weigh the losses of what is chosen.
    A negative is every anchor that is no positive in the end, candidates that were not chosen included.

    Args:
        args: positional arguments of :class:`ATSSHead`.
        topk: candidates of each object and level.
        score_voting: boxes of detections are means of all boxes around them.
        covariance_type: ``'spherical'``, ``'diag'``, ``'full'`` or ``'tied'``, of the Gaussians.
        kwargs: other arguments of :class:`ATSSHead`.

    Raises:
        ValueError: unknown ``covariance_type``.
    """

    has_sampler = False  # candidates that are not chosen become negatives after sampling

    def __init__(
        self, *args: Any, topk: int = 9, score_voting: bool = True, covariance_type: str = 'diag', **kwargs: Any
    ) -> None:
        if covariance_type not in COVARIANCE_TYPES:
            raise ValueError(f'covariance_type: expected one of {COVARIANCE_TYPES}, got {covariance_type!r}')
        self.topk = topk
        self.with_score_voting = score_voting
        self.covariance_type = covariance_type
        super().__init__(*args, **kwargs)

    def loss(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        iou_preds: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """``loss_cls``, ``loss_bbox`` and ``loss_iou``.

        Args:
            cls_scores: L maps (N, A * C, H, W).
            bbox_preds: L maps (N, A * 4, H, W).
            iou_preds: L maps (N, A, H, W).
            gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore: as of :meth:`AnchorHead.loss`.
        """
        scores, deltas, ious = map(to_full_precision, (cls_scores, bbox_preds, iou_preds))
        anchors, targets = self.choose_targets(scores, deltas, gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore)
        return self.loss_of_targets(scores, deltas, ious, anchors, targets, gt_bboxes, img_metas)

    def choose_targets(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None,
    ) -> tuple[Tensor, Targets]:
        """Anchors (R, 4) and targets (N, R, ...) of a batch, not weighed; arguments as of :meth:`loss`."""
        anchors, flags = self.anchors_of_maps(cls_scores, img_metas)
        labels, label_weights, bbox_targets, bbox_weights, pos_inds, gt_inds = self.get_targets(
            anchors, flags, gt_bboxes, img_metas, gt_bboxes_ignore, gt_labels, self.cls_out_channels
        )
        with torch.no_grad():  # the losses choose the positives; they are not what is learnt
            scores, deltas = rows_of_images(cls_scores, self.cls_out_channels), rows_of_images(bbox_preds, 4)
            (losses,) = multi_apply(
                self.get_pos_loss, anchors, scores, deltas, labels, label_weights, bbox_targets, bbox_weights, pos_inds
            )
            labels, label_weights, bbox_weights, _ = multi_apply(
                self.paa_reassign, losses, labels, label_weights, bbox_weights, pos_inds, gt_inds, anchors
            )
        return torch.cat(anchors[0]), Targets(*map(torch.stack, (labels, label_weights, bbox_targets, bbox_weights)))

    def loss_of_targets(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        iou_preds: Sequence[Tensor],
        anchors: Tensor,
        targets: Targets,
        gt_bboxes: list[Tensor],
        img_metas: list[ImgMeta],
    ) -> dict[str, Tensor]:
        """Losses against chosen ``targets`` (N, R, ...) of ``anchors`` (R, 4); see :meth:`loss`."""
        positive = (targets.labels >= 0) & (targets.labels < self.num_classes)
        num_pos = positive.sum()  # before anything is weighed: divisors do not depend on the weights
        # classes are not handed on: of objects with one box the first weighs
        found = (targets.bbox_targets, targets.labels, gt_bboxes, None)
        targets = self.weigh(
            targets,
            img_metas,
            lambda i: greatest_overlaps(anchors, gt_bboxes[i]),
            objects=(lambda: objects_of_boxes(*found)) if self.reg_decoded_bbox else None,
        )
        scores, label_weights = self.scores_for_loss(
            rows_of_images(cls_scores, self.cls_out_channels), targets.labels, targets.label_weights, img_metas
        )
        loss_cls = self.loss_cls(
            scores.flatten(0, 1),
            targets.labels.flatten(),
            label_weights.flatten(),
            avg_factor=num_pos.clamp(min=len(img_metas)),  # without an object the negatives' loss is divided, too
        )
        images, rows = positive.nonzero(as_tuple=True)
        wanted, weights = targets.bbox_targets[images, rows], targets.bbox_weights[images, rows, 0]
        boxes = self.bbox_coder.decode(anchors[rows], rows_of_images(bbox_preds, 4)[images, rows])
        # targets and weights: no way for gradients
        ious = aligned_iou(boxes.detach(), wanted)
        loss_iou = self.loss_centerness(
            rows_of_images(iou_preds, 1)[images, rows, 0], ious, weights, avg_factor=num_pos
        )
        loss_bbox = self._box_loss(boxes, wanted, ious, weights, num_pos)
        return dict(loss_cls=loss_cls, loss_bbox=loss_bbox, loss_iou=loss_iou)

    def _box_loss(self, boxes: Tensor, wanted: Tensor, ious: Tensor, weights: Tensor, num_pos: Tensor) -> Tensor:
        """Mean loss of P boxes that their IoUs weigh and divide; ``weights`` (P,), of their images, only weigh."""
        return self.loss_bbox(boxes, wanted, ious.clamp(min=MIN_IOU) * weights, avg_factor=ious.sum())

    def get_pos_loss(
        self,
        anchors: list[Tensor],
        cls_score: Tensor,
        bbox_pred: Tensor,
        label: Tensor,
        label_weight: Tensor,
        bbox_target: Tensor,
        bbox_weight: Tensor,
        pos_inds: Tensor,
    ) -> tuple[Tensor]:
        """Losses (P,) of one image's candidates ``pos_inds`` (P,), as the only item of a tuple.

        Args:
            anchors: L times (H * W * A, 4).
            cls_score: (R, C).
            bbox_pred: (R, 4).
            label, label_weight: (R,).
            bbox_target, bbox_weight: (R, 4).
        """
        if not len(pos_inds):
            return (cls_score.new_zeros(0),)
        loss_cls = self.loss_cls(
            cls_score[pos_inds], label[pos_inds], label_weight[pos_inds], reduction_override='none'
        )
        boxes = self.bbox_coder.decode(torch.cat(anchors)[pos_inds], bbox_pred[pos_inds])
        loss_bbox = self.loss_bbox(boxes, bbox_target[pos_inds], bbox_weight[pos_inds, 0], reduction_override='none')
        return (loss_cls.sum(-1) + loss_bbox,)

    def paa_reassign(
        self,
        pos_losses: Tensor,
        label: Tensor,
        label_weight: Tensor,
        bbox_weight: Tensor,
        pos_inds: Tensor,
        pos_gt_inds: Tensor,
        anchors: list[Tensor],
    ) -> tuple[Tensor, Tensor, Tensor, int]:
        """Targets of one image in which only the likely candidates are positives.

        Args:
            pos_losses: (P,) of the candidates.
            label, label_weight: (R,).
            bbox_weight: (R, 4).
            pos_inds: (P,) rows of the candidates, ascending.
            pos_gt_inds: (P,) their objects.
            anchors: L times (H * W * A, 4).

        Returns:
            labels, label weights, box weights, and the number of positives.
        """
        if not len(pos_inds):
            return label, label_weight, bbox_weight, 0
        ends = to_device(list(accumulate(map(len, anchors))), torch.long, pos_inds.device)
        sizes = torch.searchsorted(pos_inds, ends).diff(prepend=ends.new_zeros(1))
        # one copy to the host for both
        *counts, num_gts = torch.cat([sizes, pos_gt_inds.max()[None] + 1]).tolist()
        rejected = ~chosen_candidates(pos_losses, pos_gt_inds, counts, num_gts, self.topk, self.covariance_type)
        label, bbox_weight = label.clone(), bbox_weight.clone()
        label[pos_inds] = label[pos_inds].masked_fill(rejected, self.num_classes)
        bbox_weight[pos_inds] = bbox_weight[pos_inds].masked_fill(rejected[:, None], 0)
        return label, label_weight, bbox_weight, len(pos_inds) - int(rejected.sum())

    def gmm_separation_scheme(
        self, gmm_assignment: Tensor, scores: Tensor, pos_inds_gmm: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Positives of one object; :meth:`paa_reassign` does this for all objects at once.

        Args:
            gmm_assignment: (n,) component of each candidate, in ascending order of their losses.
            scores: (n,) log likelihoods.
            pos_inds_gmm: (n,) rows of the candidates.

        Returns:
            rows of the candidates of component 0 up to the likeliest one, and of those left out of the loss (none).
        """
        # component 0 starts at the least loss, so it holds the better candidates
        first = gmm_assignment == 0
        count = int(scores[first].argmax()) + 1 if first.any() else 0
        return pos_inds_gmm[first][:count], pos_inds_gmm[:0]

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
    ) -> tuple[list[Tensor], ...]:
        """Targets of each image whose positives are candidates, not weighed; arguments as of :class:`AnchorHead`.

        Returns:
            N times: labels (R,), label weights (R,), box targets (R, 4), box weights (R, 4), rows of the candidates
            (P,) and their objects (P,).
        """
        num_imgs = len(img_metas)
        *targets, _, _, sampled = multi_apply(
            self._get_targets_single,
            [torch.cat(anchors) for anchors in anchor_list],
            [torch.cat(flags) for flags in valid_flag_list],
            gt_bboxes_list,
            gt_bboxes_ignore_list or [None] * num_imgs,
            gt_labels_list or [None] * num_imgs,
            img_metas,
            label_channels=label_channels,
            unmap_outputs=unmap_outputs,
        )
        positives = [positive_rows(labels, self.num_classes) for labels in targets[0]]
        return (*targets, positives, [result.pos_assigned_gt_inds for result in sampled])

    # all levels at once, as in AnchorHead
    _get_targets_single: Any = AnchorHead._get_targets_single

    def _get_bboxes_single(
        self,
        cls_score_list: list[Tensor],
        bbox_pred_list: list[Tensor],
        score_factor_list: list[Tensor],
        mlvl_priors: list[Tensor],
        img_meta: ImgMeta,
        cfg: dict | None,
        rescale: bool = False,
        with_nms: bool = True,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor]:
        """Boxes of one image; see :meth:`BaseDenseHead.get_bboxes`."""
        cfg = as_config(self.test_cfg if cfg is None else cfg)
        levels = (
            (
                self._class_scores(flatten_map(scores, self.cls_out_channels)) * flatten_map(factors, 1).sigmoid(),
                flatten_map(deltas, 4),
                priors,
            )
            for scores, deltas, factors, priors in zip(cls_score_list, bbox_pred_list, score_factor_list, mlvl_priors)
        )
        scores, boxes = best_boxes(levels, self.bbox_coder, cfg.get('nms_pre', -1), img_meta['img_shape'])
        return self._bbox_post_process([scores], [boxes], img_meta.get('scale_factor'), cfg, rescale, with_nms)

    def _bbox_post_process(
        self,
        mlvl_scores: list[Tensor],
        mlvl_bboxes: list[Tensor],
        scale_factor: Any,
        cfg: ConfigDict,
        rescale: bool = False,
        with_nms: bool = True,
        mlvl_score_factors: list[Tensor] | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor]:
        """Join the levels of one image, rescale, suppress, vote; arguments as of :class:`BaseDenseHead`.

        ``mlvl_scores`` are L times (k, K). The detections' scores are geometric means of these and of the predicted
        IoUs, ``mlvl_score_factors``, L times (k,); None: ``mlvl_scores`` are the products of both already.

        Returns:
            boxes with scores (k, 5), labels (k,).

        Raises:
            ValueError: ``with_nms`` is False: boxes vote within one image, so there is no test with augmentation.
        """
        if not with_nms:
            raise ValueError(
                f'{type(self).__name__} gives boxes after suppression only (with_nms=True): it has no test with '
                'augmentation'
            )
        bboxes = torch.cat(mlvl_bboxes)
        if rescale:
            bboxes = bboxes / tensor_like(scale_factor, bboxes)
        scores = torch.cat(mlvl_scores)
        if mlvl_score_factors is not None:
            scores = scores * torch.cat(mlvl_score_factors)[:, None]
        scores = scores.sqrt()
        dets, labels = multiclass_nms(bboxes, with_background(scores), cfg.score_thr, cfg.nms, cfg.max_per_img)
        if self.with_score_voting:
            dets, labels = self.score_voting(dets, labels, bboxes, scores, cfg.score_thr)
        return dets, labels

    def score_voting(
        self, det_bboxes: Tensor, det_labels: Tensor, mlvl_bboxes: Tensor, mlvl_nms_scores: Tensor, score_thr: float
    ) -> tuple[Tensor, Tensor]:
        """Detections after :func:`vote`, and their labels."""
        return vote(det_bboxes, det_labels, mlvl_bboxes, mlvl_nms_scores, score_thr), det_labels
