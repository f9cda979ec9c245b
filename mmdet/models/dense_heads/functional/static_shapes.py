"""Targets and proposals of anchor heads in static shapes, so that the host does not wait for a GPU.

N images, L levels, R anchors of each image; boxes are xyxy px of the network's input.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from mmcv import ConfigDict
from torch import Tensor
from torch.nn import functional

from mmdet.core.anchor.utils import anchor_inside_flags
from mmdet.core.bbox.samplers import static_shapes
from mmdet.core.bbox.samplers.custom_sampler import without_ignored_negatives
from mmdet.core.bbox.samplers.static_shapes import BoxCoding
from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets
from mmdet.models.dense_heads.functional.rows import rows_of_images, sizes_of_maps
from mmdet.ops import batched_nms
from mmdet.ops.nms import MOST_BOXES_OF_NMS


class StaticAnchorHead(BoxCoding, Protocol):
    """What these functions ask of a head over anchors."""

    sampling: bool
    sampler: Any
    assigner: Any
    train_cfg: Any
    prior_generator: Any
    cls_out_channels: int
    use_sigmoid_cls: bool

    def weigh(
        self,
        targets: Targets,
        img_metas: Sequence[ImgMeta] | None,
        overlaps: Callable[[int], Tensor] | None = None,
        *,
        objects: Callable[[], Tensor] | None = None,
    ) -> Targets:
        """See :meth:`BaseHead.weigh`."""
        ...


PAD_SCORE = -1.0  # of a proposal that only fills up


def batch_targets(
    head: StaticAnchorHead,
    anchor_list: Sequence[Sequence[Tensor]],
    valid_flag_list: Sequence[Sequence[Tensor]],
    gt_bboxes: Sequence[Tensor],
    img_metas: Sequence[ImgMeta],
    gt_bboxes_ignore: Sequence[Tensor] | None,
    gt_labels: Sequence[Tensor] | None,
    assign: Callable[..., tuple[Tensor, Tensor]] | None = None,
) -> tuple:
    """What ``AnchorHead.get_targets`` gives; arguments as there.

    ``assign`` is called as :func:`_assign`, which is the default.

    Returns:
        labels, label weights (L times (N, R_l)), box targets, box weights (L times (N, R_l, 4)), numbers of positives
        and of negatives (tensors without dimensions; each image counts at least one of both).
    """
    anchors = torch.stack([torch.cat(list(levels)) for levels in anchor_list])
    gt_inds, overlaps = (assign or _assign)(head, anchors, valid_flag_list, gt_bboxes, img_metas, gt_bboxes_ignore)
    sample = static_shapes.draw_sample(gt_inds, head.sampler) if head.sampling else static_shapes.take_all(gt_inds)
    pos_weight = head.train_cfg.get('pos_weight', -1)
    targets = static_shapes.matched_targets(sample, gt_inds, anchors, gt_bboxes, gt_labels, head, pos_weight)
    if head.sampling:
        targets = static_shapes.unmap_sample(sample, targets, gt_inds.size(1), head.num_classes)
    targets = head.weigh(targets, img_metas, lambda i: overlaps[i], objects=lambda: gt_inds - 1)
    sizes = [len(level) for level in anchor_list[0]]
    counts = [mask.sum(1).clamp(min=1).sum() for mask in (sample.positive, sample.valid & ~sample.positive)]
    return (*(list(part.split(sizes, dim=1)) for part in targets), *counts)


@torch.no_grad()
def _assign(
    head: StaticAnchorHead,
    anchors: Tensor,
    valid_flag_list: Sequence[Sequence[Tensor]],
    gt_bboxes: Sequence[Tensor],
    img_metas: Sequence[ImgMeta],
    gt_bboxes_ignore: Sequence[Tensor] | None,
) -> tuple[Tensor, Tensor]:
    """(N, R) numbers of the objects as assigners give them, and (N, R) the greatest overlap with an object."""
    border = head.train_cfg.allowed_border
    gt_inds, overlaps = [], []
    for i, (image_anchors, flags, meta) in enumerate(zip(anchors, valid_flag_list, img_metas)):
        inside = anchor_inside_flags(image_anchors, torch.cat(list(flags)), meta['img_shape'][:2], border)
        # the others are considered without a size: they overlap nothing, so that no object takes one of them
        ignored = None if gt_bboxes_ignore is None else gt_bboxes_ignore[i]
        found = head.assigner.assign(image_anchors * inside[:, None], gt_bboxes[i], ignored)
        kept = without_ignored_negatives(head.sampler, found.gt_inds, meta)
        gt_inds.append(kept.masked_fill(~inside, -1))
        overlaps.append(found.max_overlaps)
    return torch.stack(gt_inds), torch.stack(overlaps)


@torch.no_grad()
def batch_proposals(
    head: StaticAnchorHead,
    cls_scores: Sequence[Tensor],
    bbox_preds: Sequence[Tensor],
    img_metas: Sequence[ImgMeta],
    cfg: ConfigDict,
) -> list[Tensor]:
    """What ``RPNHead.get_bboxes`` gives, as N tensors (max_per_img, 5); rows that only fill up score ``PAD_SCORE``.

    Args:
        head: the first stage.
        cls_scores: L maps (N, A * C, H, W).
        bbox_preds: L maps (N, A * 4, H, W).
        img_metas: meta information of the N images.
        cfg: keys as ``RPNHead._get_bboxes_single`` takes them.
    """
    priors = head.prior_generator.grid_priors(
        sizes_of_maps(cls_scores), dtype=cls_scores[0].dtype, device=cls_scores[0].device
    )
    levels = zip(cls_scores, bbox_preds, priors)
    best = [_best_of_level(head, *level, cfg.get('nms_pre', -1)) for level in levels]
    sizes = [of_level.size(1) for of_level, *_ in best]
    scores, deltas, anchors = (torch.cat(part, 1) for part in zip(*best))
    decoded = [
        head.bbox_coder.decode(*image, max_shape=meta['img_shape']) for *image, meta in zip(anchors, deltas, img_metas)
    ]
    boxes = torch.stack(decoded)
    kept = scores >= cfg.get('min_score', 0.0)
    if (min_size := cfg.get('min_bbox_size', -1)) >= 0:
        kept &= ((boxes[..., 2:] - boxes[..., :2]) > min_size).all(-1)
    scores = scores.masked_fill(~kept, PAD_SCORE)
    level_ids = torch.cat([torch.full((size,), i, device=scores.device) for i, size in enumerate(sizes)])
    return _suppress(boxes, scores, level_ids, cfg)


def _best_of_level(
    head: StaticAnchorHead, cls_score: Tensor, bbox_pred: Tensor, priors: Tensor, limit: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Scores (N, k), deltas (N, k, 4) and anchors (N, k, 4) of the ``limit`` best anchors of a level."""
    logits = rows_of_images([cls_score], head.cls_out_channels)
    scores = logits.squeeze(2).sigmoid() if head.use_sigmoid_cls else logits.softmax(2)[..., 0]
    deltas = rows_of_images([bbox_pred], 4)
    anchors = priors.expand(len(scores), -1, -1)
    if not 0 < limit < scores.size(1):
        return scores, deltas, anchors
    scores, best = (part[:, :limit] for part in scores.sort(dim=1, descending=True))
    return scores, static_shapes.take_rows(deltas, best), static_shapes.take_rows(anchors, best)


def _suppress(boxes: Tensor, scores: Tensor, level_ids: Tensor, cfg: ConfigDict) -> list[Tensor]:
    """Suppress within each image and level, and keep the best of each image.

    Args:
        boxes, scores: (N, k, 4) and (N, k).
        level_ids: (k,).
        cfg: keys ``nms`` and ``max_per_img``.
    """
    # several images in a call, as far as its memory, which grows with the square of the boxes, allows
    together = max(MOST_BOXES_OF_NMS // scores.size(1), 1)
    parts = zip(boxes.split(together), scores.split(together))
    return [image for part in parts for image in _suppress_together(*part, level_ids, cfg)]


def _suppress_together(boxes: Tensor, scores: Tensor, level_ids: Tensor, cfg: ConfigDict) -> list[Tensor]:
    num, per_image = scores.shape
    images = torch.arange(num, device=scores.device)
    groups = images[:, None] + num * level_ids
    # all groups in one call: one after the other, the host would wait for each
    settings = {**cfg.nms, 'split_thr': float('inf')}
    dets, keep = batched_nms(boxes.flatten(0, 1), scores.flatten(), groups.flatten(), settings)
    # best first, so that a box's rank in its image is how many of the image came before it
    of_image = keep // per_image
    rank = (of_image[:, None] == images).cumsum(0).gather(1, of_image[:, None]).squeeze(1) - 1
    most = cfg.max_per_img
    places = torch.where(rank < most, of_image * most + rank, num * most)  # a row behind the last takes the others
    out = functional.pad(dets.new_zeros(num * most + 1, 4), (0, 1), value=PAD_SCORE)
    return list(out.index_copy(0, places, dets)[:-1].view(num, most, 5))
