"""Targets of heads whose assigner looks at the levels one by one (ATSS, https://arxiv.org/abs/1912.02424).

These functions are methods: a head derived from ``AnchorHead`` takes them into its class body. All the targets of an
image come through ``_get_targets_single``, as in ``AnchorHead``, but the flags of its anchors come level by level: so
the assigner learns the levels, and what wraps this method (such as the weights of images) works as for other heads.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmdet.core.anchor.utils import images_to_levels
from mmdet.core.utils.misc import multi_apply
from mmdet.models.dense_heads.anchor_head import AnchorHead


def num_inside(num_level_anchors: Sequence[int], inside_flags: Tensor) -> list[int]:
    """How many of the flags (R,) are true on each level."""
    return torch.stack([flags.sum() for flags in inside_flags.split(list(num_level_anchors))]).tolist()


def get_num_level_anchors_inside(self: AnchorHead, num_level_anchors: list[int], inside_flags: Tensor) -> list[int]:
    """How many of the flags (R,) are true on each level."""
    return num_inside(num_level_anchors, inside_flags)


def get_targets_single(
    self: AnchorHead,
    flat_anchors: Tensor,
    valid_flags: Sequence[Tensor],
    gt_bboxes: Tensor,
    gt_bboxes_ignore: Tensor | None,
    gt_labels: Tensor | None,
    img_meta: dict,
    label_channels: int = 1,
    unmap_outputs: bool = True,
) -> tuple:
    """Targets of one image, as of :meth:`AnchorHead._get_targets_single`; ``valid_flags`` are L tensors."""
    rows = self._rows_inside(flat_anchors, torch.cat(list(valid_flags)), img_meta)
    inside = torch.zeros_like(flat_anchors[:, 0], dtype=torch.bool)
    inside[rows] = True
    anchors, level_sizes = flat_anchors[rows], num_inside([len(flags) for flags in valid_flags], inside)
    assigned = self.assigner.assign(anchors, level_sizes, gt_bboxes, gt_bboxes_ignore, gt_labels)
    # The sampler needs the image's directives, such as ignored negatives.
    sampled = self.sampler.sample(assigned, anchors, gt_bboxes, img_metas=img_meta)
    if not unmap_outputs:
        rows = torch.arange(len(anchors), device=anchors.device)
    targets = self._fill_targets(len(flat_anchors) if unmap_outputs else len(anchors), rows, sampled, gt_labels)
    return (*targets, sampled.pos_inds, sampled.neg_inds, sampled)


def get_target_single(
    self: AnchorHead,
    flat_anchors: Tensor,
    valid_flags: Tensor,
    num_level_anchors: list[int],
    gt_bboxes: Tensor,
    gt_bboxes_ignore: Tensor | None,
    gt_labels: Tensor | None,
    img_meta: dict,
    label_channels: int = 1,
    unmap_outputs: bool = True,
) -> tuple:
    """Anchors of one image, (R, 4) or those inside it, and their targets.

    Args:
        flat_anchors: (R, 4), all levels.
        valid_flags: (R,), which anchors lie over the padded image.
        num_level_anchors: anchors of each level.
        gt_bboxes: (G, 4).
        gt_bboxes_ignore: (G', 4) or None.
        gt_labels: (G,) or None.
        img_meta: meta information of the image.
        label_channels: handed on.
        unmap_outputs: give a row for each of the R anchors, otherwise for those that ``allowed_border`` leaves.

    Returns:
        anchors, labels, label weights, box targets, box weights, indices of positives and of negatives, and further
        items of ``_get_targets_single``.
    """
    targets = self._get_targets_single(
        flat_anchors,
        valid_flags.split(num_level_anchors),
        gt_bboxes,
        gt_bboxes_ignore,
        gt_labels,
        img_meta,
        label_channels,
        unmap_outputs,
    )
    if not unmap_outputs:
        flat_anchors = flat_anchors[self._rows_inside(flat_anchors, valid_flags, img_meta)]
    return (flat_anchors, *targets)


def get_targets(
    self: AnchorHead,
    anchor_list: list[list[Tensor]],
    valid_flag_list: list[list[Tensor]],
    gt_bboxes_list: list[Tensor],
    img_metas: list[dict],
    gt_bboxes_ignore_list: list[Tensor] | None = None,
    gt_labels_list: list[Tensor] | None = None,
    label_channels: int = 1,
    unmap_outputs: bool = True,
) -> tuple:
    """Targets of a batch, by level; arguments as of :meth:`AnchorHead.get_targets`.

    Returns:
        L times, for all images: anchors (N, H * W * A, 4), labels, label weights (N, H * W * A), box targets and box
        weights (N, H * W * A, 4); then the numbers of positives and of negatives in the batch (each image counts at
        least one of both).
    """
    num_imgs, level_sizes = len(img_metas), [len(anchors) for anchors in anchor_list[0]]
    *targets, pos_inds, neg_inds = multi_apply(
        self._get_target_single,
        [torch.cat(anchors) for anchors in anchor_list],
        [torch.cat(flags) for flags in valid_flag_list],
        [level_sizes] * num_imgs,
        gt_bboxes_list,
        gt_bboxes_ignore_list or [None] * num_imgs,
        gt_labels_list or [None] * num_imgs,
        img_metas,
        label_channels=label_channels,
        unmap_outputs=unmap_outputs,
    )[:7]
    counts = [sum(max(len(inds), 1) for inds in per_image) for per_image in (pos_inds, neg_inds)]
    return (*(images_to_levels(target, level_sizes) for target in targets), *counts)
