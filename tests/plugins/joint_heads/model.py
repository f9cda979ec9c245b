"""A query head that is trained with the positives of an RoI head and of an ATSS head as further queries."""

import torch
from torch import nn

from mmdet.core import bbox2roi, bbox_xyxy_to_cxcywh
from mmdet.models import (
    DETECTORS,
    HEADS,
    ATSSHead,
    BaseDetector,
    DETRHead,
    StandardRoIHead,
    build_backbone,
    build_head,
    build_neck,
)


@HEADS.register_module()
class JointQueryHead(DETRHead):
    def __init__(self, *args, max_aux_queries=20, **kwargs):
        super().__init__(*args, **kwargs)
        self.max_aux_queries = max_aux_queries
        self.aux_query = nn.Linear(4, self.embed_dims)

    def forward_train(
        self, x, img_metas, gt_bboxes, gt_labels=None, gt_bboxes_ignore=None, proposal_cfg=None, **kwargs
    ):
        outs = self(x, img_metas)
        return self.loss(*outs, gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore=gt_bboxes_ignore), x

    def forward_train_aux(self, x, img_metas, pos_coords):
        """Losses of queries whose boxes and labels are known: no matching."""
        losses = []
        for i, (boxes, labels, gts) in enumerate(pos_coords):
            boxes, labels, gts = (part[: self.max_aux_queries] for part in (boxes, labels, gts))
            height, width, _ = img_metas[i]['img_shape']
            size = boxes.new_tensor([width, height, width, height])
            queries = self.aux_query(bbox_xyxy_to_cxcywh(boxes / size))
            feats = self.input_proj(x[-1][i : i + 1])
            mask = feats.new_zeros(1, *feats.shape[-2:], dtype=torch.bool)
            states, _ = self.transformer(feats, mask, queries, self.positional_encoding(mask))
            scores = self.fc_cls(states)[-1, 0]
            preds = self.fc_reg(self.activate(self.reg_ffn(states)))[-1, 0].sigmoid()
            losses.append(
                self.loss_cls(scores, labels)
                + self.loss_bbox(preds, bbox_xyxy_to_cxcywh(gts / size), avg_factor=max(len(boxes), 1))
            )
        return dict(loss_aux=losses)


@HEADS.register_module()
class JointATSSHead(ATSSHead):
    def forward_train(
        self, x, img_metas, gt_bboxes, gt_labels=None, gt_bboxes_ignore=None, proposal_cfg=None, **kwargs
    ):
        outs = self(x)
        losses = self.loss(*outs, gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore=gt_bboxes_ignore)
        sizes = [level.size()[-2:] for level in outs[0]]
        anchors, flags = self.get_anchors(sizes, img_metas, device=outs[0][0].device)
        anchors, labels, _, targets, _, num_pos, _ = self.get_targets(
            anchors,
            flags,
            gt_bboxes,
            img_metas,
            gt_bboxes_ignore_list=gt_bboxes_ignore,
            gt_labels_list=gt_labels,
            label_channels=self.cls_out_channels,
        )
        anchors, labels, targets = (torch.cat(levels, 1) for levels in (anchors, labels, targets))
        positive = labels < self.num_classes
        assert positive.sum() <= num_pos
        losses['pos_coords'] = [
            (anchor[p], label[p], target[p]) for anchor, label, target, p in zip(anchors, labels, targets, positive)
        ]
        return losses


@HEADS.register_module()
class JointRoIHead(StandardRoIHead):
    def _bbox_forward_train(self, x, sampling_results, gt_bboxes, gt_labels, img_metas):
        rois = bbox2roi([res.bboxes for res in sampling_results])
        results = self._bbox_forward(x, rois)
        targets = self.bbox_head.get_targets(sampling_results, gt_bboxes, gt_labels, self.train_cfg)
        loss = self.bbox_head.loss(results['cls_score'], results['bbox_pred'], rois, *targets)
        loss['pos_coords'] = [(res.pos_bboxes, res.pos_gt_labels, res.pos_gt_bboxes) for res in sampling_results]
        results.update(loss_bbox=loss)
        return results


@DETECTORS.register_module()
class JointDetector(BaseDetector):
    def __init__(
        self,
        backbone,
        neck,
        query_head,
        rpn_head,
        roi_head,
        bbox_head,
        train_cfg=None,
        test_cfg=None,
        eval_module='query',
        init_cfg=None,
    ):
        super().__init__(init_cfg)
        self.eval_module = eval_module
        self.backbone, self.neck = build_backbone(backbone), build_neck(neck)
        self.query_head = build_head(dict(query_head, train_cfg=train_cfg[0], test_cfg=test_cfg[0]))
        self.rpn_head = build_head(dict(rpn_head, train_cfg=train_cfg[1].rpn, test_cfg=test_cfg[1].rpn))
        self.roi_head = nn.ModuleList(
            [build_head(dict(head, train_cfg=train_cfg[1].rcnn, test_cfg=test_cfg[1].rcnn)) for head in roi_head]
        )
        self.bbox_head = nn.ModuleList(
            [build_head(dict(head, train_cfg=train_cfg[2], test_cfg=test_cfg[2])) for head in bbox_head]
        )
        self.train_cfg, self.test_cfg = train_cfg, test_cfg

    def extract_feat(self, img):
        return self.neck(self.backbone(img))

    @staticmethod
    def renamed(losses, prefix, weight=1.0):
        out = {}
        for name, value in losses.items():
            scaled = [v * weight for v in value] if isinstance(value, (list, tuple)) else value * weight
            out[prefix + name] = scaled if 'loss' in name else value
        return out

    def forward_train(self, img, img_metas, gt_bboxes, gt_labels, gt_bboxes_ignore=None, **kwargs):
        for meta in img_metas:
            meta['batch_input_shape'] = tuple(img.size()[-2:])
        feats = self.extract_feat(img)
        losses, x = self.query_head.forward_train(feats, img_metas, gt_bboxes, gt_labels, gt_bboxes_ignore)
        positives = []
        rpn_losses, proposals = self.rpn_head.forward_train(
            x,
            img_metas,
            gt_bboxes,
            gt_labels=None,
            gt_bboxes_ignore=gt_bboxes_ignore,
            proposal_cfg=self.train_cfg[1].rpn_proposal,
        )
        losses.update(rpn_losses)
        for i, head in enumerate(self.roi_head):
            roi_losses = head.forward_train(x, img_metas, proposals, gt_bboxes, gt_labels, gt_bboxes_ignore, **kwargs)
            positives.append(roi_losses.pop('pos_coords'))
            losses.update(self.renamed(roi_losses, f'roi{i}.', 0.5))
        for i, head in enumerate(self.bbox_head):
            dense_losses = head.forward_train(x, img_metas, gt_bboxes, gt_labels, gt_bboxes_ignore)
            positives.append(dense_losses.pop('pos_coords'))
            losses.update(self.renamed(dense_losses, f'atss{i}.', 0.5))
        for i, coords in enumerate(positives):
            losses.update(self.renamed(self.query_head.forward_train_aux(x, img_metas, coords), f'aux{i}.'))
        return losses

    def simple_test(self, img, img_metas, proposals=None, rescale=False):
        from mmdet.core import bbox2result

        for meta in img_metas:
            meta['batch_input_shape'] = tuple(img.size()[-2:])
        x = self.extract_feat(img)
        if self.eval_module == 'two_stage':
            proposals = self.rpn_head.simple_test_rpn(x, img_metas)
            return self.roi_head[0].simple_test(x, proposals, img_metas, rescale=rescale)
        head = self.query_head if self.eval_module == 'query' else self.bbox_head[0]
        found = head.simple_test(x, img_metas, rescale=rescale)
        return [bbox2result(boxes, labels, head.num_classes) for boxes, labels in found]

    def aug_test(self, imgs, img_metas, rescale=False):
        raise NotImplementedError
