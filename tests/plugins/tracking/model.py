"""Features of reference frames are gathered where they are like those of the key frame."""

import torch
from mmcv.runner import BaseModule, auto_fp16
from mmcv.utils import Registry
from torch import nn

from mmdet.core import bbox2result, bbox2roi
from mmdet.models import DETECTORS, HEADS, BaseDetector, Shared2FCBBoxHead, StandardRoIHead, build_detector

MODELS = Registry('video models')
AGGREGATORS = MODELS


@AGGREGATORS.register_module()
class SimilarityAggregator(BaseModule):
    def __init__(self, in_channels, init_cfg=None):
        super().__init__(init_cfg)
        self.embed, self.ref_embed = nn.Linear(in_channels, in_channels), nn.Linear(in_channels, in_channels)

    def forward(self, x, ref_x):
        weights = (self.embed(x) @ self.ref_embed(ref_x).t() / x.size(1) ** 0.5).softmax(1)
        return x + weights @ ref_x


@HEADS.register_module()
class VideoBBoxHead(Shared2FCBBoxHead):
    def __init__(self, aggregator=None, **kwargs):
        super().__init__(**kwargs)
        self.aggregator = AGGREGATORS.build(aggregator)

    def forward(self, x, ref_x):
        x, ref_x = (self.relu(self.shared_fcs[0](feats.flatten(1))) for feats in (x, ref_x))
        x = self.relu(self.shared_fcs[1](self.aggregator(x, ref_x) if len(ref_x) else x))
        return self.fc_cls(x), self.fc_reg(x)


@HEADS.register_module()
class VideoRoIHead(StandardRoIHead):
    def forward_train(
        self,
        x,
        ref_feats,
        img_metas,
        proposal_list,
        ref_proposal_list,
        gt_bboxes,
        gt_labels,
        gt_bboxes_ignore=None,
        gt_masks=None,
    ):
        ignored = [None] * len(img_metas) if gt_bboxes_ignore is None else gt_bboxes_ignore
        samples = []
        for i in range(len(img_metas)):
            assigned = self.bbox_assigner.assign(proposal_list[i], gt_bboxes[i], ignored[i], gt_labels[i])
            samples.append(
                self.bbox_sampler.sample(
                    assigned, proposal_list[i], gt_bboxes[i], gt_labels[i], feats=[level[i][None] for level in x]
                )
            )
        results = self._bbox_forward_train(
            x, samples, gt_bboxes, gt_labels, ref_feats=ref_feats, ref_proposals=ref_proposal_list
        )
        return dict(results['loss_bbox'])

    def _bbox_forward(self, x, rois, ref_feats=None, ref_rois=None):
        count = self.bbox_roi_extractor.num_inputs
        feats = self.bbox_roi_extractor(x[:count], rois)
        ref = self.bbox_roi_extractor(ref_feats[:count], ref_rois)
        if self.with_shared_head:
            feats, ref = self.shared_head(feats), self.shared_head(ref)
        cls_score, bbox_pred = self.bbox_head(feats, ref)
        return dict(cls_score=cls_score, bbox_pred=bbox_pred, bbox_feats=feats)

    def _bbox_forward_train(self, x, sampling_results, gt_bboxes, gt_labels, ref_feats=None, ref_proposals=None):
        rois = bbox2roi([res.bboxes for res in sampling_results])
        results = self._bbox_forward(x, rois, ref_feats, bbox2roi(ref_proposals))
        targets = self.bbox_head.get_targets(sampling_results, gt_bboxes, gt_labels, self.train_cfg)
        loss = self.bbox_head.loss(results['cls_score'], results['bbox_pred'], rois, *targets)
        results.update(loss_bbox=loss)
        return results

    def simple_test(self, x, ref_feats, proposal_list, ref_proposal_list, img_metas, proposals=None, rescale=False):
        rois = bbox2roi(proposal_list)
        results = self._bbox_forward(x, rois, ref_feats, bbox2roi(ref_proposal_list))
        out, counts = [], [len(p) for p in proposal_list]
        parts = [results[key].split(counts) for key in ('cls_score', 'bbox_pred')]
        for roi, score, pred, meta in zip(rois.split(counts), *parts, img_metas):
            boxes, labels = self.bbox_head.get_bboxes(
                roi, score, pred, meta['img_shape'], meta['scale_factor'], rescale=rescale, cfg=self.test_cfg
            )
            out.append(bbox2result(boxes, labels, self.bbox_head.num_classes))
        return out


@DETECTORS.register_module()
class VideoDetector(BaseDetector):
    """Holds a detector of still images and uses its parts."""

    def __init__(self, detector, train_cfg=None, test_cfg=None, init_cfg=None):
        super().__init__(init_cfg)
        self.detector = build_detector(detector)
        self.train_cfg, self.test_cfg = train_cfg, test_cfg

    def extract_feat(self, imgs):
        return self.detector.extract_feat(imgs)

    @auto_fp16(apply_to=('img', 'ref_img'))
    def forward(self, img, img_metas, return_loss=True, **kwargs):
        if return_loss:
            return self.forward_train(img, img_metas, **kwargs)
        return self.forward_test(img, img_metas, **kwargs)

    def forward_train(self, img, img_metas, gt_bboxes, gt_labels, ref_img, ref_img_metas, **kwargs):
        x = self.extract_feat(img)
        # (N, frames, C, H, W): all reference frames of the batch at once
        ref = self.extract_feat(ref_img.flatten(0, 1))
        metas = [meta for entry in ref_img_metas for meta in entry]
        cfg = self.detector.train_cfg.get('rpn_proposal', self.detector.test_cfg.rpn)
        losses, proposals = self.detector.rpn_head.forward_train(
            x, img_metas, gt_bboxes, gt_labels=None, gt_bboxes_ignore=None, proposal_cfg=cfg
        )
        with torch.no_grad():
            ref_proposals = self.detector.rpn_head.simple_test_rpn(ref, metas)
        losses.update(
            self.detector.roi_head.forward_train(
                x,
                ref_feats=ref,
                img_metas=img_metas,
                proposal_list=proposals,
                ref_proposal_list=ref_proposals,
                gt_bboxes=gt_bboxes,
                gt_labels=gt_labels,
            )
        )
        return losses

    def simple_test(self, img, img_metas, proposals=None, rescale=False, **kwargs):
        x = self.extract_feat(img)
        if proposals is None:
            proposals = self.detector.rpn_head.simple_test_rpn(x, img_metas)
        # the frame before, which the model keeps, or the frame itself
        ref, ref_proposals = getattr(self, 'memory', None) or (x, proposals)
        self.memory = (x, proposals)
        return self.detector.roi_head.simple_test(x, ref, proposals, ref_proposals, img_metas, rescale=rescale)

    def aug_test(self, imgs, img_metas, **kwargs):
        raise NotImplementedError
