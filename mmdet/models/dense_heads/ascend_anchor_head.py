"""Anchor heads whose assigner takes a whole batch of padded ground truth, as configs for Ascend devices have it."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from mmdet.core.anchor.utils import anchor_inside_flags
from mmdet.core.bbox.assigners.ascend_max_iou_assigner import AscendMaxIoUAssigner
from mmdet.core.bbox.samplers.custom_sampler import without_ignored_negatives
from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.anchor_head import AnchorHead
from mmdet.models.dense_heads.functional.static_shapes import batch_targets
from mmdet.utils.ascend_util import get_max_num_gt_division_factor


def pad_rows(values: Sequence[Tensor], count: int, fill: float) -> Tensor:
    """N times (n, ...) -> (N, count, ...); rows behind the n-th are filled.

    Raises:
        ValueError: one has more than ``count`` rows.
    """
    if max(map(len, values)) > count:
        raise ValueError(f'{max(map(len, values))} rows do not fit into {count}')
    out = values[0].new_full((len(values), count, *values[0].shape[1:]), fill)
    for padded, rows in zip(out, values):
        padded[: len(rows)] = rows
    return out


@HEADS.register_module()
class AscendAnchorHead(AnchorHead):
    """:class:`AnchorHead` for an ``AscendMaxIoUAssigner``; with another assigner it is the plain head.

    Its targets have shapes that do not depend on the images. Ignore regions have no effect with that assigner.
    """

    def get_batch_gt_bboxes(
        self, gt_bboxes_list: list[Tensor], num_images: int, gt_nums: Sequence[int], device: Any, max_gt_labels: int
    ) -> Tensor:
        """N times (G, 4) -> (N, max_gt_labels, 4), padded with boxes without size."""
        return pad_rows([boxes.to(device) for boxes in gt_bboxes_list], max_gt_labels, 0)

    def get_batch_gt_bboxes_ignore(
        self, gt_bboxes_ignore_list: list[Tensor] | None, num_images: int, gt_nums: Sequence[int], device: Any
    ) -> Tensor | None:
        """N times (G', 4) -> (N, most of them, 4), padded with boxes without size; None as it is."""
        if gt_bboxes_ignore_list is None:
            return None
        most = max(map(len, gt_bboxes_ignore_list))
        return pad_rows([boxes.to(device) for boxes in gt_bboxes_ignore_list], most, 0)

    def get_batch_gt_labels(
        self,
        gt_labels_list: list[Tensor | None],
        num_images: int,
        gt_nums: Sequence[int],
        device: Any,
        max_gt_labels: int,
    ) -> Tensor | None:
        """N times (G,) -> (N, max_gt_labels), padded with background; None where there are no labels."""
        if gt_labels_list is None or gt_labels_list[0] is None:
            return None
        labels = cast(list[Tensor], gt_labels_list)  # of all images or of none
        return pad_rows([own.to(device) for own in labels], max_gt_labels, self.num_classes)

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
        return_sampling_results: bool = False,
        return_level: bool = True,
    ) -> tuple:
        """Targets of a batch; see :meth:`AnchorHead.get_targets`.

        Args:
            return_level: give lists of L tensors (N, H * W * A, ...), otherwise tensors (N, R, ...).

        Raises:
            ValueError: ``return_sampling_results`` with an ``AscendMaxIoUAssigner``, which samples masks, not lists.
        """
        truth = (gt_bboxes_list, img_metas, gt_bboxes_ignore_list, gt_labels_list)
        if not isinstance(self.assigner, AscendMaxIoUAssigner):
            options = (label_channels, unmap_outputs, return_sampling_results)
            targets = super().get_targets(anchor_list, valid_flag_list, *truth, *options)
        elif return_sampling_results:
            raise ValueError(f'{type(self).__name__}: an AscendMaxIoUAssigner has no sampling results')
        else:
            targets = batch_targets(self, anchor_list, valid_flag_list, *truth, assign=_assign_batch)
        return targets if return_level else (*(torch.cat(levels, dim=1) for levels in targets[:4]), *targets[4:])


@torch.no_grad()
def _assign_batch(
    head: AscendAnchorHead,
    anchors: Tensor,
    valid_flag_list: Sequence[Sequence[Tensor]],
    gt_bboxes: Sequence[Tensor],
    img_metas: Sequence[ImgMeta],
    gt_bboxes_ignore: Sequence[Tensor] | None,
) -> tuple[Tensor, Tensor]:
    """(N, R) numbers of the objects as assigners give them, and (N, R) the greatest overlap with an object."""
    border, counts = head.train_cfg.allowed_border, [len(boxes) for boxes in gt_bboxes]
    inside = torch.stack(
        [
            anchor_inside_flags(image_anchors, torch.cat(list(flags)), meta['img_shape'][:2], border)
            for image_anchors, flags, meta in zip(anchors, valid_flag_list, img_metas)
        ]
    )
    common = (len(counts), counts, anchors.device)
    padded = head.get_batch_gt_bboxes(list(gt_bboxes), *common, get_max_num_gt_division_factor(counts))
    ignored = head.get_batch_gt_bboxes_ignore(None if gt_bboxes_ignore is None else list(gt_bboxes_ignore), *common)
    found = head.assigner.assign(
        anchors, padded, ignored, None, inside, torch.tensor(counts).to(anchors.device, non_blocking=True)
    )
    negative = found.batch_neg_mask.long() - 1  # 0, and -1 for boxes that are left out
    gt_inds = torch.where(found.batch_pos_mask.bool(), found.batch_anchor_gt_indes + 1, negative)
    gt_inds = gt_inds.masked_fill(~inside, -1)
    kept = [without_ignored_negatives(head.sampler, *image) for image in zip(gt_inds, img_metas)]
    return torch.stack(kept), found.batch_max_overlaps
