"""Training of a RoI head on static shapes: as many RoIs of each image as the sampler takes at most.

N images, P proposals of each, S sampled RoIs of each; boxes are xyxy px of the network's input.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult, labels_of
from mmdet.core.bbox.samplers import static_shapes
from mmdet.core.bbox.samplers.custom_sampler import without_ignored_negatives
from mmdet.core.bbox.samplers.sampling_result import SamplingResult
from mmdet.core.bbox.transforms import bbox2roi
from mmdet.core.targets import Targets
from mmdet.models.roi_heads.functional.protocols import BoxHead
from mmdet.models.roi_heads.functional.training_batch import TrainingBatch


class RoIBatch(NamedTuple):
    """The candidates of a batch, what they were assigned to, and a sample of them."""

    boxes: Tensor  # (N, n, 4): objects, where the sampler adds them, then proposals
    gt_inds: Tensor  # (N, n) as assigners give them
    overlaps: Tensor  # (N, n) greatest overlap with an object
    gt_flags: Tensor  # (N, n) uint8, 1 for objects
    sample: static_shapes.MaskSample


@torch.no_grad()
def sample_rois(assigner: Any, sampler: Any, batch: TrainingBatch, proposals: Sequence[Tensor]) -> RoIBatch:
    """Assign proposals and draw from them.

    Args:
        assigner, sampler: of the head.
        batch: N images.
        proposals: N times (P, 5); those whose score is negative only fill up.
    """
    boxes, gt_inds, overlaps, gt_flags = [], [], [], []
    for i, candidates in enumerate(proposals):
        ignored = None if batch.gt_bboxes_ignore is None else batch.gt_bboxes_ignore[i]
        found = assigner.assign(candidates[:, :4], batch.gt_bboxes[i], ignored, batch.gt_labels[i])
        found.gt_inds = found.gt_inds.masked_fill(candidates[:, 4] < 0, -1)
        image_boxes, flags = sampler.candidates(found, candidates, batch.gt_bboxes[i], batch.gt_labels[i])
        boxes.append(image_boxes)
        gt_inds.append(without_ignored_negatives(sampler, found.gt_inds, batch.img_metas[i]))
        overlaps.append(found.max_overlaps)
        gt_flags.append(flags)
    numbers = static_shapes.pad_rows(gt_inds, -1)  # what fills up takes no part
    return RoIBatch(
        static_shapes.pad_rows(boxes),
        numbers,
        static_shapes.pad_rows(overlaps),
        static_shapes.pad_rows(gt_flags),
        static_shapes.draw_sample(numbers, sampler),
    )


def batch_box_targets(bbox_head: BoxHead, rois: RoIBatch, batch: TrainingBatch, pos_weight: float) -> Targets:
    """Targets (N S, ...) of the sampled RoIs, weighed as the images say."""
    sample = rois.sample
    targets = static_shapes.matched_targets(
        sample, rois.gt_inds, rois.boxes, batch.gt_bboxes, batch.gt_labels, bbox_head, pos_weight
    )
    overlaps = rois.overlaps.gather(1, sample.rows)
    images = torch.arange(len(overlaps), device=overlaps.device)[:, None].expand_as(sample.rows)
    images = images.masked_fill(~sample.valid, -1)
    objects = rois.gt_inds.gather(1, sample.rows) - 1
    targets = bbox_head.weigh_rows(targets, images, batch.img_metas, lambda i: overlaps[i], objects=lambda: objects)
    return Targets(*(part.flatten(0, 1) for part in targets))


def batch_box_losses(roi_head: Any, batch: TrainingBatch, rois: RoIBatch) -> dict[str, Any]:
    """Predictions of the box branch for the sampled RoIs and, as ``loss_bbox``, the dict of its losses."""
    boxes = static_shapes.take_rows(rois.boxes, rois.sample.rows)
    flat_rois = bbox2roi(list(boxes))
    results = roi_head._bbox_forward(batch.x, flat_rois)
    targets = batch_box_targets(roi_head.bbox_head, rois, batch, roi_head.train_cfg.pos_weight)
    head = roi_head.bbox_head
    valid = rois.sample.valid.flatten()
    losses = head.loss(
        results['cls_score'], results['bbox_pred'], flat_rois, *targets, valid=valid, img_metas=batch.img_metas
    )
    if roi_head.keep_debug_results:
        roi_head.keep_for_debugging(results['bbox_feats'][valid], targets.labels[valid])
    return dict(results, loss_bbox=losses)


def sampling_results(rois: RoIBatch, batch: TrainingBatch) -> list[SamplingResult]:
    """The sample as positives and negatives of each image; how many there are, the host waits for."""
    sample = rois.sample
    counts = torch.stack([sample.positive.sum(1), sample.valid.sum(1)], 1).tolist()
    results = []
    for i, (num_pos, num_valid) in enumerate(counts):
        assigned = AssignResult(
            len(batch.gt_bboxes[i]), rois.gt_inds[i], rois.overlaps[i], labels_of(rois.gt_inds[i], batch.gt_labels[i])
        )
        rows = sample.rows[i, :num_pos], sample.rows[i, num_pos:num_valid]
        results.append(SamplingResult(*rows, rois.boxes[i], batch.gt_bboxes[i], assigned, rois.gt_flags[i]))
    return results


def batch_losses(roi_head: Any, batch: TrainingBatch, proposals: Sequence[Tensor]) -> dict[str, Tensor]:
    """What ``StandardRoIHead.forward_train`` gives, for proposals as :func:`sample_rois` takes them."""
    rois = sample_rois(roi_head.bbox_assigner, roi_head.bbox_sampler, batch, proposals)
    results = batch_box_losses(roi_head, batch, rois)
    losses = results['loss_bbox']
    if roi_head.with_mask:
        sampled = sampling_results(rois, batch)
        feats = results['bbox_feats'].unflatten(0, rois.sample.rows.shape)
        feats = torch.cat([image[: len(res.bboxes)] for image, res in zip(feats, sampled)])
        masks = roi_head._mask_forward_train(batch.x, sampled, feats, batch.gt_masks, batch.img_metas)
        losses |= masks['loss_mask']
    return losses
