"""The head of SSD with an assigner of whole batches."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmdet.core.img_meta import ImgMeta
from mmdet.core.utils.misc import multi_apply
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.ascend_anchor_head import AscendAnchorHead
from mmdet.models.dense_heads.ssd_head import SSDHead


@HEADS.register_module()
class AscendSSDHead(SSDHead, AscendAnchorHead):
    """:class:`SSDHead`, whose assigner may be an ``AscendMaxIoUAssigner``."""

    def get_targets(self, *args: Any, return_sampling_results: bool = False, **kwargs: Any) -> tuple:
        """As of :class:`AscendAnchorHead`; in place of sampling results, which nothing here reads, an empty list."""
        targets = AscendAnchorHead.get_targets(self, *args, **kwargs)
        return (*targets, []) if return_sampling_results else targets

    def get_static_anchors(
        self, featmap_sizes: Sequence[tuple[int, int]], img_metas: list[ImgMeta], device: str | torch.device = 'cuda'
    ) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
        """As :meth:`AnchorHead.get_anchors`."""
        return self.get_anchors(featmap_sizes, img_metas, device)

    def batch_loss(
        self,
        batch_cls_score: Tensor,
        batch_bbox_pred: Tensor,
        batch_anchor: Tensor,
        batch_labels: Tensor,
        batch_label_weights: Tensor,
        batch_bbox_targets: Tensor,
        batch_bbox_weights: Tensor,
        batch_pos_mask: Tensor,
        batch_neg_mask: Tensor,
        num_total_samples: int,
    ) -> tuple[Tensor, Tensor]:
        """Classification losses and box losses (N,) of N images; each is that of :meth:`SSDHead.loss_single`.

        Args:
            batch_cls_score: (N, R, K + 1).
            batch_bbox_pred: (N, R, 4).
            batch_anchor: (N, R, 4).
            batch_labels: (N, R), which say what is positive.
            batch_label_weights: (N, R).
            batch_bbox_targets: (N, R, 4).
            batch_bbox_weights: (N, R, 4).
            batch_pos_mask: not used.
            batch_neg_mask: not used.
            num_total_samples: divisor.
        """
        targets = (batch_labels, batch_label_weights, batch_bbox_targets, batch_bbox_weights)
        losses_cls, losses_bbox = multi_apply(
            self.loss_single,
            batch_cls_score,
            batch_bbox_pred,
            batch_anchor,
            *targets,
            num_total_samples=num_total_samples,
        )
        return torch.cat(losses_cls), torch.stack(losses_bbox)
