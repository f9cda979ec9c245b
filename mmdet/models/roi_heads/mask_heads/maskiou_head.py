"""The head of Mask Scoring R-CNN that judges masks (https://arxiv.org/abs/1903.00241).

p: positives of a batch; p_i: those of image i; K: classes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from mmcv.runner import BaseModule
from mmcv.utils import to_2tuple
from torch import Tensor

from mmdet.core.mask.base import BaseInstanceMasks
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.roi_heads.functional.compat import attached_zero

# Defaults of the constructor, which are part of its signature; never written to.
LOSS_IOU = dict(type='MSELoss', loss_weight=0.5)
INIT_CFG: list[dict] = [
    dict(type='Kaiming', override=dict(name='convs')),
    dict(type='Caffe2Xavier', override=dict(name='fcs')),
    dict(type='Normal', std=0.01, override=dict(name='fc_mask_iou')),
]

EPS = 1e-7  # masks without area divide by this


@HEADS.register_module()
class MaskIoUHead(BaseModule):
    """Predicts, for each class, the IoU of a predicted mask with the object's.

    Args:
        num_convs: number of 3x3 convolutions; the last one halves the resolution.
        num_fcs: number of fully connected layers.
        roi_feat_size: height and width of the RoI features, or one number; the masks are twice as large.
        in_channels: channels of the RoI features.
        conv_out_channels: channels of the convolutions.
        fc_out_channels: features of the fully connected layers.
        num_classes: number of classes K.
        loss_iou: the loss.
        init_cfg: initialisation.
    """

    directive_head, directive_fallback = 'mask_head', 'roi_head'

    def __init__(
        self,
        num_convs: int = 4,
        num_fcs: int = 2,
        roi_feat_size: int | tuple[int, int] = 14,
        in_channels: int = 256,
        conv_out_channels: int = 256,
        fc_out_channels: int = 1024,
        num_classes: int = 80,
        loss_iou: dict = LOSS_IOU,
        init_cfg: dict | list[dict] | None = INIT_CFG,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.conv_out_channels = conv_out_channels
        self.fc_out_channels = fc_out_channels
        self.num_classes = num_classes
        widths = [in_channels + 1] + [conv_out_channels] * num_convs  # 1: the mask
        self.convs = nn.ModuleList(
            nn.Conv2d(widths[i], widths[i + 1], 3, stride=2 if i == num_convs - 1 else 1, padding=1)
            for i in range(num_convs)
        )
        height, width = to_2tuple(roi_feat_size)
        features = conv_out_channels * (height // 2) * (width // 2)
        fc_widths = [features] + [fc_out_channels] * num_fcs
        self.fcs = nn.ModuleList(nn.Linear(*pair) for pair in zip(fc_widths, fc_widths[1:]))
        self.fc_mask_iou = nn.Linear(fc_widths[-1], num_classes)
        self.relu = nn.ReLU()
        self.max_pool = nn.MaxPool2d(2, 2)
        self.loss_iou = build_loss(loss_iou)

    def forward(self, mask_feat: Tensor, mask_pred: Tensor) -> Tensor:
        """RoI features (p, C, h, w) and mask logits (p, 2 h, 2 w) of one class -> IoUs (p, K)."""
        pooled = self.max_pool(mask_pred.sigmoid()[:, None])
        x = torch.cat([mask_feat, pooled], dim=1)
        for conv in self.convs:
            x = self.relu(conv(x))
        x = x.flatten(1)
        for fc in self.fcs:
            x = self.relu(fc(x))
        return self.fc_mask_iou(x)

    def loss(self, mask_iou_pred: Tensor, mask_iou_targets: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
        """``loss_mask_iou`` of predictions (p,) and targets (p,); only targets > 0 count, and none gives a zero.

        ``weights`` (p,) are factors of the RoIs; the mean is over those that count, whatever their weights.
        """
        judged = (mask_iou_targets > 0).nonzero().squeeze(1)
        if not len(judged):
            return dict(loss_mask_iou=attached_zero(mask_iou_pred))
        weights = None if weights is None else weights[judged]
        return dict(loss_mask_iou=self.loss_iou(mask_iou_pred[judged], mask_iou_targets[judged], weights))

    @torch.no_grad()
    def get_targets(
        self,
        sampling_results: Sequence[Any],
        gt_masks: Sequence[BaseInstanceMasks],
        mask_pred: Tensor,
        mask_targets: Tensor,
        rcnn_train_cfg: Any,
    ) -> Tensor:
        """IoUs of the predicted masks with the whole objects, of which a RoI may hold a part only.

        Args:
            sampling_results: one for each of N images, p positives in all.
            gt_masks: mask structures of the N images.
            mask_pred: (p, h, w) logits of the positives' classes.
            mask_targets: (p, h, w), values 0 and 1: the objects inside the RoIs.
            rcnn_train_cfg: has ``mask_thr_binary``, what a logit must exceed to count as inside.

        Returns:
            (p,) in [0, 1].
        """
        fractions = [
            self._get_area_ratio(res.pos_bboxes, res.pos_assigned_gt_inds, masks)
            for res, masks in zip(sampling_results, gt_masks)
        ]
        predicted = (mask_pred > rcnn_train_cfg.mask_thr_binary).to(mask_targets)
        overlap = (predicted * mask_targets).sum((1, 2))
        whole = mask_targets.sum((1, 2)) / (torch.cat(fractions) + EPS)
        union = predicted.sum((1, 2)) + whole - overlap
        return torch.where(union > 0, overlap / union.clamp(min=EPS), 0.0)

    def _get_area_ratio(
        self, pos_proposals: Tensor, pos_assigned_gt_inds: Tensor, gt_masks: BaseInstanceMasks
    ) -> Tensor:
        """Fraction of its object's area that lies inside each positive box, boxes (p_i, 4) px -> (p_i,)."""
        if not len(pos_proposals):
            return pos_proposals.new_zeros(0)
        objects, rows = pos_assigned_gt_inds.unique(return_inverse=True)
        masks = gt_masks[objects.cpu().numpy()].to_tensor(torch.bool, pos_proposals.device)
        inside = areas_in_boxes(masks, rows, pos_proposals)
        return inside / (masks.sum((1, 2))[rows] + EPS)

    @torch.no_grad()
    def get_mask_scores(self, mask_iou_pred: Tensor, det_bboxes: Tensor, det_labels: Tensor) -> list[np.ndarray]:
        """Scores of the masks of one image: predicted IoU times score of the box.

        Args:
            mask_iou_pred: (n, K).
            det_bboxes: (n, 5), boxes and scores.
            det_labels: (n,) in ``[0, K)``.

        Returns:
            For each class an array with the scores of its detections, in their order.
        """
        scores = (mask_iou_pred.gather(1, det_labels[:, None])[:, 0] * det_bboxes[:, -1]).cpu().numpy()
        labels = det_labels.cpu().numpy()
        return [scores[labels == i] for i in range(self.num_classes)]


def areas_in_boxes(masks: Tensor, rows: Tensor, boxes: Tensor) -> Tensor:
    """Area of one mask inside each box, in pixels.

    Args:
        masks: (G, H, W) bool.
        rows: (n,) which mask each box is about.
        boxes: (n, 4) xyxy px; cut to the image and to whole pixels, and at least one pixel wide and high.

    Returns:
        (n,) float.
    """
    height, width = masks.shape[1:]
    # below[:, y, x]: area in the y first rows and x first columns, so that four values give the area of a window
    below = F.pad(masks.int().cumsum(1, dtype=torch.int32).cumsum(2, dtype=torch.int32), (1, 0, 1, 0))
    x1, x2 = boxes[:, 0::2].clamp(0, width).long().unbind(1)
    y1, y2 = boxes[:, 1::2].clamp(0, height).long().unbind(1)
    x2, y2 = torch.maximum(x2, x1 + 1).clamp(max=width), torch.maximum(y2, y1 + 1).clamp(max=height)
    areas = below[rows, y2, x2] - below[rows, y1, x2] - below[rows, y2, x1] + below[rows, y1, x1]
    return areas.to(boxes)
