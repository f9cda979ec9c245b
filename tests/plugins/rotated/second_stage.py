"""RoI features of turned boxes, and a box head with five numbers for each class."""

import torch
from mmcv import ops
from mmcv.ops import nms_rotated
from torch import nn

from mmdet.core import multi_apply
from mmdet.models import HEADS, BaseRoIExtractor, Shared2FCBBoxHead, StandardRoIHead
from mmdet.models.builder import ROI_EXTRACTORS
from rotated.boxes import rbbox2result, rbbox2roi


@ROI_EXTRACTORS.register_module()
class RotatedRoIExtractor(BaseRoIExtractor):
    def build_roi_layers(self, layer_cfg, featmap_strides):
        cfg = layer_cfg.copy()
        layer = getattr(ops, cfg.pop('type'))
        return nn.ModuleList([layer(spatial_scale=1 / stride, **cfg) for stride in featmap_strides])

    def forward(self, feats, rois, roi_scale_factor=None):
        size = self.roi_layers[0].output_size
        out = feats[0].new_zeros(len(rois), self.out_channels, *size)
        scale = (rois[:, 3] * rois[:, 4]).clamp(min=1e-6).sqrt()
        levels = (scale / 56 + 1e-6).log2().floor().clamp(0, len(feats) - 1).long()
        for i, layer in enumerate(self.roi_layers):
            rows = (levels == i).nonzero().flatten()
            if len(rows):
                out[rows] = layer(feats[i], rois[rows])
            else:
                out = out + sum(p.sum() for p in self.parameters()) * 0.0 + feats[i].sum() * 0.0
        return out


@HEADS.register_module()
class RotatedBBoxHead(Shared2FCBBoxHead):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.fc_reg = nn.Linear(self.reg_last_dim, 5 * self.num_classes)

    def _get_target_single(self, pos_bboxes, neg_bboxes, pos_gt_bboxes, pos_gt_labels, cfg):
        num_pos, count = len(pos_bboxes), len(pos_bboxes) + len(neg_bboxes)
        labels = pos_bboxes.new_full((count,), self.num_classes, dtype=torch.long)
        label_weights = pos_bboxes.new_ones(count)
        targets, weights = pos_bboxes.new_zeros(count, 5), pos_bboxes.new_zeros(count, 5)
        if num_pos:
            labels[:num_pos] = pos_gt_labels
            targets[:num_pos] = self.bbox_coder.encode(pos_bboxes, pos_gt_bboxes)
            weights[:num_pos] = 1
        return labels, label_weights, targets, weights

    def get_targets(self, sampling_results, gt_bboxes, gt_labels, rcnn_train_cfg, concat=True):
        parts = multi_apply(
            self._get_target_single,
            [res.pos_bboxes for res in sampling_results],
            [res.neg_bboxes for res in sampling_results],
            [res.pos_gt_bboxes for res in sampling_results],
            [res.pos_gt_labels for res in sampling_results],
            cfg=rcnn_train_cfg,
        )
        return tuple(torch.cat(part, 0) for part in parts) if concat else parts

    def loss(
        self, cls_score, bbox_pred, rois, labels, label_weights, bbox_targets, bbox_weights, reduction_override=None
    ):
        losses = dict(loss_cls=self.loss_cls(cls_score, labels, label_weights, reduction_override=reduction_override))
        pos = labels < self.num_classes
        own = bbox_pred.view(len(bbox_pred), -1, 5)[pos, labels[pos]]
        losses['loss_bbox'] = self.loss_bbox(own, bbox_targets[pos], bbox_weights[pos], avg_factor=len(labels))
        return losses

    def get_bboxes(self, rois, cls_score, bbox_pred, img_shape, scale_factor, rescale=False, cfg=None):
        scores = cls_score.softmax(-1)[:, :-1]
        boxes = self.bbox_coder.decode(rois[:, 1:], bbox_pred).view(len(rois), -1, 5)
        rows, labels = (scores > cfg.score_thr).nonzero(as_tuple=True)
        dets, kept = nms_rotated(boxes[rows, labels], scores[rows, labels], cfg.nms.iou_threshold, labels)
        return dets[: cfg.max_per_img], labels[kept][: cfg.max_per_img]


@HEADS.register_module()
class RotatedRoIHead(StandardRoIHead):
    def _bbox_forward_train(self, x, sampling_results, gt_bboxes, gt_labels, img_metas):
        rois = rbbox2roi([res.bboxes for res in sampling_results])
        results = self._bbox_forward(x, rois)
        targets = self.bbox_head.get_targets(sampling_results, gt_bboxes, gt_labels, self.train_cfg)
        loss = self.bbox_head.loss(results['cls_score'], results['bbox_pred'], rois, *targets)
        results.update(loss_bbox=loss)
        return results

    def simple_test(self, x, proposal_list, img_metas, proposals=None, rescale=False):
        dets, labels = self.simple_test_bboxes(x, img_metas, proposal_list, self.test_cfg, rescale=rescale)
        return [rbbox2result(det, label, self.bbox_head.num_classes) for det, label in zip(dets, labels)]

    def simple_test_bboxes(self, x, img_metas, proposals, rcnn_test_cfg, rescale=False):
        rois = rbbox2roi(proposals)
        results = self._bbox_forward(x, rois)
        counts = [len(p) for p in proposals]
        found = [
            self.bbox_head.get_bboxes(
                roi, score, pred, meta['img_shape'], meta['scale_factor'], rescale=rescale, cfg=rcnn_test_cfg
            )
            for roi, score, pred, meta in zip(
                rois.split(counts), results['cls_score'].split(counts), results['bbox_pred'].split(counts), img_metas
            )
        ]
        return tuple(map(list, zip(*found)))
