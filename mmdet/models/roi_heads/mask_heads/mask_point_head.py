"""The head of PointRend that classifies points of masks (https://arxiv.org/abs/1912.08193).

n: RoIs; P: points of each; K: classes. Points are (x, y) in [0, 1] of their RoI.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn as nn
from mmcv.cnn import ConvModule
from mmcv.runner import BaseModule
from torch import Tensor

from mmdet.core.mask.base import BaseInstanceMasks
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.roi_heads.functional.compat import attached_zero
from mmdet.models.utils.point_sample import get_uncertain_point_coords_with_randomness, get_uncertainty
from mmdet.ops import points_in_image, read_masks_at_points

# Defaults of the constructor, which are part of its signature; never written to.
CONV = dict(type='Conv1d')
ACT = dict(type='ReLU')
LOSS_POINT = dict(type='CrossEntropyLoss', use_mask=True, loss_weight=1.0)
INIT_CFG = dict(type='Normal', std=0.001, override=dict(name='fc_logits'))


@HEADS.register_module()
class MaskPointHead(BaseModule):
    """Layers that see each point by itself: its features, and what the coarse mask says there.

    Args:
        num_classes: number of classes K.
        num_fcs: number of layers before the last one.
        in_channels: channels of the features of a point.
        fc_channels: channels of the layers.
        class_agnostic: predict one mask instead of one for each class; the coarse prediction still has K.
        coarse_pred_each_layer: every layer sees the coarse prediction, not only the first.
        conv_cfg, norm_cfg, act_cfg: kind of the layers, of their norm and of their activation.
        loss_point: the loss.
        init_cfg: initialisation.
    """

    directive_head, directive_fallback = 'mask_head', 'roi_head'

    def __init__(
        self,
        num_classes: int,
        num_fcs: int = 3,
        in_channels: int = 256,
        fc_channels: int = 256,
        class_agnostic: bool = False,
        coarse_pred_each_layer: bool = True,
        conv_cfg: dict = CONV,
        norm_cfg: dict | None = None,
        act_cfg: dict = ACT,
        loss_point: dict = LOSS_POINT,
        init_cfg: dict | list[dict] | None = INIT_CFG,
    ) -> None:
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.num_fcs = num_fcs
        self.in_channels = in_channels
        self.fc_channels = fc_channels
        self.class_agnostic = class_agnostic
        self.coarse_pred_each_layer = coarse_pred_each_layer
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self.loss_point = build_loss(loss_point)

        settings = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        width = in_channels + num_classes
        self.fcs = nn.ModuleList()
        for _ in range(num_fcs):
            self.fcs.append(ConvModule(width, fc_channels, 1, **settings))
            width = fc_channels + (num_classes if coarse_pred_each_layer else 0)
        self.fc_logits = nn.Conv1d(width, 1 if class_agnostic else num_classes, 1)

    def forward(self, fine_grained_feats: Tensor, coarse_feats: Tensor) -> Tensor:
        """Features (n, C, P) and coarse logits (n, K, P) of points -> logits (n, K, P), (n, 1, P) if class agnostic."""
        x = torch.cat([fine_grained_feats, coarse_feats], dim=1)
        for fc in self.fcs:
            x = fc(x)
            if self.coarse_pred_each_layer:
                x = torch.cat([x, coarse_feats], dim=1)
        return self.fc_logits(x)

    def get_targets(
        self,
        rois: Tensor,
        rel_roi_points: Tensor,
        sampling_results: Sequence[Any],
        gt_masks: Sequence[BaseInstanceMasks],
        cfg: Any,
    ) -> Tensor:
        """What the objects' masks are at the points.

        Args:
            rois: (n, 5), the positives of the batch.
            rel_roi_points: (n, P, 2).
            sampling_results: one for each of N images.
            gt_masks: mask structures of the N images.
            cfg: training settings; unused here.

        Returns:
            (n, P) in [0, 1].
        """
        counts = [len(res.pos_bboxes) for res in sampling_results]
        images = zip(rois.split(counts), rel_roi_points.split(counts), sampling_results, gt_masks)
        return torch.cat(
            [
                self._get_target_single(img_rois, points, res.pos_assigned_gt_inds, masks, cfg)
                for img_rois, points, res, masks in images
            ]
        )

    @torch.no_grad()
    def _get_target_single(
        self,
        rois: Tensor,
        rel_roi_points: Tensor,
        pos_assigned_gt_inds: Tensor,
        gt_masks: BaseInstanceMasks,
        cfg: Any,
    ) -> Tensor:
        """:meth:`get_targets` for one image: (n_i, P)."""
        if not len(rois):
            return rois.new_zeros(rel_roi_points.shape[:2])
        # as bytes: whole masks are sent to the device, though single points of them are read
        masks = gt_masks.to_tensor(torch.uint8, rois.device)
        return read_masks_at_points(masks, pos_assigned_gt_inds, points_in_image(rois, rel_roi_points))

    def loss(
        self, point_pred: Tensor, point_targets: Tensor, labels: Tensor, weights: Tensor | None = None
    ) -> dict[str, Tensor]:
        """``loss_point`` of logits (n, K, P), targets (n, P) and labels (n,); a zero in the graph without RoIs.

        ``weights`` (n,) are factors of the RoIs; the mean is over all points, whatever their weights.
        """
        if not len(point_pred):
            return dict(loss_point=attached_zero(point_pred))
        channels = torch.zeros_like(labels) if self.class_agnostic else labels
        rows = {} if weights is None else dict(row_weights=weights)
        return dict(loss_point=self.loss_point(point_pred, point_targets, channels, **rows))

    def get_roi_rel_points_train(self, mask_pred: Tensor, labels: Tensor, cfg: Any) -> Tensor:
        """Random points, the most of them where the coarse mask is uncertain.

        Args:
            mask_pred: (n, K, h, w) logits.
            labels: (n,) the class to look at.
            cfg: has ``num_points`` P, ``oversample_ratio`` and ``importance_sample_ratio``.

        Returns:
            (n, P, 2).
        """
        with torch.no_grad():
            return get_uncertain_point_coords_with_randomness(
                mask_pred, labels, cfg.num_points, cfg.oversample_ratio, cfg.importance_sample_ratio
            )

    def get_roi_rel_points_test(self, mask_pred: Tensor, pred_label: Tensor, cfg: Any) -> tuple[Tensor, Tensor]:
        """The cells of a mask that are most uncertain.

        Args:
            mask_pred: (n, K, h, w) logits, or (n, 1, h, w).
            pred_label: (n,) the class to look at.
            cfg: has ``subdivision_num_points``, the greatest P.

        Returns:
            Their numbers (n, P) in the flattened mask, and their middles (n, P, 2).
        """
        height, width = mask_pred.shape[-2:]
        uncertainty = get_uncertainty(mask_pred, pred_label).flatten(1)
        inds = uncertainty.topk(min(height * width, cfg.subdivision_num_points), dim=1).indices
        rows = inds.div(width, rounding_mode='floor')
        xs, ys = ((inds % width) + 0.5) / width, (rows + 0.5) / height
        return inds, torch.stack([xs, ys], dim=2)
