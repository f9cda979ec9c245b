"""Panoptic maps from detections and a segmentation, by rules."""

from typing import Any

import torch
from torch import Tensor

from mmdet.core.evaluation.panoptic_utils import INSTANCE_OFFSET
from mmdet.models.builder import HEADS
from mmdet.models.seg_heads.panoptic_fusion_heads.base_panoptic_fusion_head import BasePanopticFusionHead


@HEADS.register_module()
class HeuristicFusionHead(BasePanopticFusionHead):
    """Lays the masks of detections on the segmentation, the surest first (https://arxiv.org/abs/1901.02446).

    Args:
        num_things_classes, num_stuff_classes: see :class:`BasePanopticFusionHead`.
        test_cfg: ``mask_thr_binary``, least score of a pixel inside a mask; ``mask_overlap``, the largest fraction of a
            mask that others may cover already; ``stuff_area_limit``, least area of a class of stuff, px.
        init_cfg: initialisation.
        kwargs: must be empty.
    """

    def __init__(
        self,
        num_things_classes: int = 80,
        num_stuff_classes: int = 53,
        test_cfg: Any = None,
        init_cfg: dict | list[dict] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_things_classes, num_stuff_classes, test_cfg, None, init_cfg, **kwargs)

    def forward_train(self, gt_masks: Any = None, gt_semantic_seg: Tensor | None = None, **kwargs: Any) -> dict:
        """No losses: nothing is learnt here."""
        return {}

    def _lay_masks(
        self, bboxes: Tensor, labels: Tensor, masks: Tensor, overlap_thr: float = 0.5
    ) -> tuple[Tensor, Tensor]:
        """See :func:`lay_masks`; ``bboxes`` (n, 5) hold the scores in their last column."""
        return lay_masks(bboxes[:, -1], labels, masks, overlap_thr)

    def simple_test(
        self, det_bboxes: Tensor, det_labels: Tensor, mask_preds: Tensor, seg_preds: Tensor, **kwargs: Any
    ) -> Tensor:
        """Panoptic map of one image.

        Args:
            det_bboxes: (n, 5) detections with scores.
            det_labels: (n,) in ``[0, T)``.
            mask_preds: (n, H, W) scores in [0, 1] of each detection's pixels.
            seg_preds: (S + 1, H, W) logits of stuff and, last, of things.

        Returns:
            (H, W) int64.
        """
        masks = mask_preds >= self.test_cfg.mask_thr_binary
        id_map, labels = self._lay_masks(det_bboxes, det_labels, masks, self.test_cfg.mask_overlap)
        panoptic = seg_preds.argmax(0) + self.num_things_classes  # the things of the segmentation become void
        panoptic = put_objects(panoptic, id_map, labels)
        return self._drop_small_stuff(panoptic)

    def _drop_small_stuff(self, panoptic: Tensor) -> Tensor:
        """Make classes of stuff void whose area in the map (H, W) is below the limit."""
        is_stuff = (panoptic >= self.num_things_classes) & (panoptic < self.num_classes)
        classes = torch.where(is_stuff, panoptic, self.num_classes)
        areas = torch.bincount(classes.flatten(), minlength=self.num_classes + 1)
        too_small = is_stuff & (areas[classes] < self.test_cfg.stuff_area_limit)
        return panoptic.masked_fill(too_small, self.num_classes)


def lay_masks(scores: Tensor, labels: Tensor, masks: Tensor, overlap_thr: float) -> tuple[Tensor, Tensor]:
    """Lay masks one on top of another's rest: the surest first, each where no other lies yet.

    Args:
        scores: (n,) the order.
        labels: (n,).
        masks: (n, H, W) bool.
        overlap_thr: masks of which a larger fraction is covered already are left out, as are empty ones.

    Returns:
        (H, W) int64, 0 where no mask lies, else k + 1 for the k-th mask that was laid; (m,) their labels.
    """
    order = scores.argsort(descending=True, stable=True)
    free = masks.new_ones(masks.shape[-2:], dtype=torch.bool)
    id_map = torch.zeros(masks.shape[-2:], dtype=torch.long, device=masks.device)
    areas = masks.flatten(1).sum(1)
    laid = []
    # each mask depends on all before it; without branches on values, so that no mask makes the host wait for the device
    for rank, i in enumerate(order.tolist()):
        mask = masks[i]
        covered = (mask & ~free).sum()
        keep = (areas[i] > 0) & (covered / (areas[i] + 1e-5) <= overlap_thr)
        part = mask & free & keep
        id_map = torch.where(part, rank + 1, id_map)
        free = free & ~part
        laid.append(keep)
    if not laid:
        return id_map, labels
    is_laid = torch.stack(laid)
    new_ids = torch.cat([is_laid.new_zeros(1, dtype=torch.long), is_laid.cumsum(0)])
    return new_ids[id_map], labels[order][is_laid]


def put_objects(panoptic: Tensor, id_map: Tensor, labels: Tensor) -> Tensor:
    """Put objects into a panoptic map, numbered from 1 without gaps; objects without a pixel have no number.

    Args:
        panoptic: (H, W).
        id_map: (H, W), 0 where no object is, else k + 1 for object k.
        labels: (m,) of the objects.
    """
    visible = torch.bincount(id_map.flatten(), minlength=len(labels) + 1)[1:] > 0
    ids = labels + visible.cumsum(0) * INSTANCE_OFFSET
    ids = torch.cat([ids.new_zeros(1), ids])
    return torch.where(id_map > 0, ids[id_map], panoptic)
