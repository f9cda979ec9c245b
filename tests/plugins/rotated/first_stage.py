"""An RPN whose anchors, codes and proposals have five numbers."""

import torch
from mmcv.ops import nms_rotated
from torch import nn

from mmdet.core import unmap
from mmdet.models import HEADS, RPNHead


@HEADS.register_module()
class RotatedRPNHead(RPNHead):
    def _init_layers(self):
        super()._init_layers()
        self.rpn_reg = nn.Conv2d(self.feat_channels, self.num_base_priors * 5, 1)

    def _get_targets_single(
        self,
        flat_anchors,
        valid_flags,
        gt_bboxes,
        gt_bboxes_ignore,
        gt_labels,
        img_meta,
        label_channels=1,
        unmap_outputs=True,
    ):
        inside = valid_flags.bool()
        anchors = flat_anchors[inside]
        assigned = self.assigner.assign(anchors, gt_bboxes, gt_bboxes_ignore, None if self.sampling else gt_labels)
        sampled = self.sampler.sample(assigned, anchors, gt_bboxes)
        count = len(anchors)
        targets, weights = torch.zeros_like(anchors), torch.zeros_like(anchors)
        labels = anchors.new_full((count,), self.num_classes, dtype=torch.long)
        label_weights = anchors.new_zeros(count)
        pos, neg = sampled.pos_inds, sampled.neg_inds
        if len(pos):
            targets[pos] = self.bbox_coder.encode(sampled.pos_bboxes, sampled.pos_gt_bboxes)
            weights[pos] = 1.0
            labels[pos] = 0 if gt_labels is None else gt_labels[sampled.pos_assigned_gt_inds]
            label_weights[pos] = 1.0
        label_weights[neg] = 1.0
        if unmap_outputs:
            total = flat_anchors.size(0)
            labels = unmap(labels, total, inside, fill=self.num_classes)
            label_weights, targets, weights = (unmap(t, total, inside) for t in (label_weights, targets, weights))
        return labels, label_weights, targets, weights, pos, neg, sampled

    def loss_single(
        self, cls_score, bbox_pred, anchors, labels, label_weights, bbox_targets, bbox_weights, num_total_samples
    ):
        cls_score = cls_score.permute(0, 2, 3, 1).reshape(-1, self.cls_out_channels)
        loss_cls = self.loss_cls(cls_score, labels.reshape(-1), label_weights.reshape(-1), avg_factor=num_total_samples)
        bbox_pred = bbox_pred.permute(0, 2, 3, 1).reshape(-1, 5)
        loss_bbox = self.loss_bbox(
            bbox_pred, bbox_targets.reshape(-1, 5), bbox_weights.reshape(-1, 5), avg_factor=num_total_samples
        )
        return loss_cls, loss_bbox

    def _get_bboxes_single(
        self,
        cls_score_list,
        bbox_pred_list,
        score_factor_list,
        mlvl_anchors,
        img_meta,
        cfg,
        rescale=False,
        with_nms=True,
        **kwargs,
    ):
        cfg = self.test_cfg if cfg is None else cfg
        boxes, scores = [], []
        for cls_score, bbox_pred, anchors in zip(cls_score_list, bbox_pred_list, mlvl_anchors):
            score = cls_score.permute(1, 2, 0).reshape(-1).sigmoid()
            best = score.topk(min(cfg.nms_pre, len(score))).indices
            codes = bbox_pred.permute(1, 2, 0).reshape(-1, 5)[best]
            boxes.append(self.bbox_coder.decode(anchors[best], codes))
            scores.append(score[best])
        dets, _ = nms_rotated(torch.cat(boxes), torch.cat(scores), cfg.nms.iou_threshold)
        return dets[: cfg.max_per_img]
