"""What the stages of the cascades have in common, as functions."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmdet.core.img_meta import ImgMeta
from mmdet.models.base_head import loss_of_rows
from mmdet.models.builder import build_head, build_roi_extractor
from mmdet.models.roi_heads.functional.compat import call_with_img_metas
from mmdet.models.roi_heads.functional.protocols import BoxHead, MaskHead
from mmdet.models.roi_heads.functional.training_batch import TrainingBatch
from mmdet.models.roi_heads.test_mixins import Masks
from mmdet.models.utils.brick_wrappers import adaptive_avg_pool2d


def semantic_branch(extractor: dict | None, head: dict) -> tuple[Any, Any]:
    """The RoI extractor and the head of a branch that segments the image.

    Args:
        extractor, head: their configs.

    Raises:
        ValueError: there is no config of the extractor.
    """
    if extractor is None:
        raise ValueError('semantic_roi_extractor is missing, which takes what semantic_head finds to the RoIs')
    return build_roi_extractor(extractor), build_head(head)


def name_stage_losses(losses: dict[str, Any], stage: int, weight: float) -> dict[str, Any]:
    """``loss_cls`` -> ``s0.loss_cls`` times the weight of the stage; what is no loss (``acc``) is not weighted."""
    return {f's{stage}.{name}': value * weight if 'loss' in name else value for name, value in losses.items()}


def likeliest_classes(bbox_head: BoxHead, cls_score: Tensor) -> Tensor:
    """Logits (n, K + 1) -> (n,) the best class in ``[0, K)`` of each RoI, background left aside."""
    if getattr(bbox_head, 'custom_activation', False):
        cls_score = bbox_head.loss_cls.get_activation(cls_score)
    return cls_score[:, :-1].argmax(1)


@torch.no_grad()
def refine_proposals(
    bbox_head: BoxHead, bbox_results: dict[str, Any], sampling_results: Sequence[Any], img_metas: Sequence[ImgMeta]
) -> list[Tensor]:
    """Boxes that a stage makes of its sampled boxes: proposals of what comes next.

    Args:
        bbox_head: of the stage.
        bbox_results: ``rois`` (n, 5), ``cls_score``, ``bbox_pred`` and ``bbox_targets``, whose first is labels (n,).
        sampling_results: one for each of N images.
        img_metas: has ``img_shape`` of each image.

    Returns:
        N times (m_i, 4). Ground truth among the sampled boxes is left out.
    """
    # without gradients (see the decorator): a stage learns from its own losses, not from those of the next one's boxes
    labels = bbox_results['bbox_targets'][0]
    if bbox_results['cls_score'] is not None:  # negatives have no class of their own: they move as their best class
        best = likeliest_classes(bbox_head, bbox_results['cls_score'])
        labels = torch.where(labels == bbox_head.num_classes, best, labels)
    # ground truth is left out, as the next stage's sampler adds it anew
    pos_is_gts = [res.pos_is_gt for res in sampling_results]
    return bbox_head.refine_bboxes(bbox_results['rois'], labels, bbox_results['bbox_pred'], pos_is_gts, img_metas)


def mask_losses(
    mask_head: Any,
    mask_pred: Tensor,
    sampling_results: Sequence[Any],
    gt_masks: Sequence[Any],
    rcnn_train_cfg: Any,
    img_metas: Sequence[ImgMeta] | None,
) -> dict[str, Tensor]:
    """Losses of mask logits (p, K, h, w) of the positives of N images."""
    targets = call_with_img_metas(
        mask_head.get_targets, sampling_results, gt_masks, rcnn_train_cfg, img_metas=img_metas
    )
    labels = torch.cat([res.pos_gt_labels for res in sampling_results])
    return loss_of_rows(mask_head, sampling_results, img_metas, mask_pred, targets, labels)


def mean_scores(mask_preds: Iterable[Tensor]) -> np.ndarray:
    """Mask logits (n, K, h, w) of several stages -> the mean of their scores, in [0, 1]."""
    return torch.stack([pred.detach().sigmoid() for pred in mask_preds]).mean(0).cpu().numpy()


def masks_of_images(
    mask_head: MaskHead,
    scores: np.ndarray,
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    img_metas: Sequence[ImgMeta],
    test_cfg: Any,
    rescale: bool,
) -> list[Masks]:
    """Mask scores (n, K, h, w) of the detections of N images -> their masks, by class.

    Args:
        mask_head: pastes the masks.
        scores: in [0, 1].
        boxes: N times (k_i, 4) px of the network input.
        labels: N times (k_i,).
        img_metas: has ``ori_shape`` and ``scale_factor`` of each image.
        test_cfg: has ``mask_thr_binary``.
        rescale: give masks of the original image's size.
    """
    borders = np.cumsum([len(box) for box in boxes])[:-1]
    return [
        mask_head.get_seg_masks(part, box, label, test_cfg, meta['ori_shape'], meta['scale_factor'], rescale)
        for part, box, label, meta in zip(np.split(scores, borders), boxes, labels, img_metas)
    ]


def train_semantic_branch(
    roi_head: Any, batch: TrainingBatch, gt_semantic_seg: Tensor | None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """``loss_semantic_seg`` and ``semantic_feat`` (N, C, H, W); neither where a head has no semantic branch.

    Args:
        roi_head: with ``with_semantic`` and ``semantic_head``.
        batch: the images.
        gt_semantic_seg: (N, 1, H, W) classes, at the size of the fused feature map.

    Raises:
        ValueError: there is a branch, but no ground truth.
    """
    if not roi_head.with_semantic:
        return {}, {}
    if gt_semantic_seg is None:
        raise ValueError(
            'gt_semantic_seg is missing, which semantic_head learns from: load it (LoadAnnotations(with_seg=True)) '
            'and collect it, or train without semantic_head'
        )
    prediction, features = roi_head.semantic_head(batch.x)
    rows = ([1] * len(prediction), batch.img_metas, prediction, gt_semantic_seg)
    return dict(loss_semantic_seg=loss_of_rows(roi_head.semantic_head, *rows)), dict(semantic_feat=features)


def fuse_semantic(extractor: Any, roi_feats: Tensor, semantic_feat: Tensor, rois: Tensor) -> Tensor:
    """RoI features (n, C, h, w) plus those that ``extractor`` pools from semantic features (N, C, H, W)."""
    pooled = extractor([semantic_feat], rois)
    if pooled.shape[-2:] != roi_feats.shape[-2:]:
        pooled = adaptive_avg_pool2d(pooled, (roi_feats.size(2), roi_feats.size(3)))
    return roi_feats + pooled
