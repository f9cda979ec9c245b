"""Two detectors of one config: the student is trained, the teacher labels images for it."""

import torch
from torch import nn

from mmdet.core import bbox2roi
from mmdet.models import DETECTORS, BaseDetector, build_detector
from mmdet.utils import split_batch


class MultiStream(BaseDetector):
    """Detectors under names; tests go to one of them."""

    def __init__(self, streams, train_cfg=None, test_cfg=None):
        super().__init__()
        self.names = list(streams)
        for name, stream in streams.items():
            setattr(self, name, stream)
        self.train_cfg, self.test_cfg = train_cfg, test_cfg
        self.inference_on = (test_cfg or {}).get('inference_on', self.names[0])

    def model(self, **kwargs) -> nn.Module:
        return getattr(self, kwargs.get('stream', self.inference_on))

    def freeze(self, name):
        stream = getattr(self, name)
        stream.eval()
        for parameter in stream.parameters():
            parameter.requires_grad = False

    def extract_feat(self, imgs):
        return self.model().extract_feat(imgs)

    def forward_test(self, imgs, img_metas, **kwargs):
        return self.model(**kwargs).forward_test(imgs, img_metas, **kwargs)

    def simple_test(self, img, img_metas, **kwargs):
        return self.model().simple_test(img, img_metas, **kwargs)

    def aug_test(self, imgs, img_metas, **kwargs):
        return self.model().aug_test(imgs, img_metas, **kwargs)


@DETECTORS.register_module()
class TeacherStudent(MultiStream):
    def __init__(self, model, train_cfg=None, test_cfg=None):
        streams = dict(teacher=build_detector(model), student=build_detector(model))
        super().__init__(streams, train_cfg, test_cfg)
        self.freeze('teacher')

    def train(self, mode=True):
        super().train(mode)
        self.teacher.eval()
        return self

    def forward_train(self, img, img_metas, **kwargs):
        groups = split_batch(img, img_metas, dict(kwargs, tag=[meta['tag'] for meta in img_metas]))
        losses = {}
        if 'sup' in groups:
            losses.update({f'sup_{k}': v for k, v in self.student.forward_train(**groups['sup']).items()})
        if 'unsup_student' in groups:
            unsup = self.forward_unsup_train(groups['unsup_teacher'], groups['unsup_student'])
            weight = self.train_cfg.get('unsup_weight', 1.0)
            for name, value in unsup.items():
                scaled = [v * weight for v in value] if isinstance(value, list) else value * weight
                losses[f'unsup_{name}'] = scaled if 'loss' in name else value
        return losses

    def forward_unsup_train(self, teacher_data, student_data):
        order = [meta['filename'] for meta in teacher_data['img_metas']]
        rows = [order.index(meta['filename']) for meta in student_data['img_metas']]
        metas = [teacher_data['img_metas'][i] for i in rows]
        with torch.no_grad():
            teacher_feats, boxes, labels = self.teacher_detections(teacher_data['img'][rows], metas)
        boxes = [
            self.to_student(box[:, :4], meta, other)
            for box, meta, other in zip(boxes, metas, student_data['img_metas'])
        ]
        feats = self.student.extract_feat(student_data['img'])
        losses, proposals = self.rpn_losses(feats, boxes, student_data['img_metas'])
        losses.update(self.roi_losses(feats, proposals, boxes, labels, student_data['img_metas'], teacher_feats, metas))
        return losses

    def teacher_detections(self, img, metas):
        feats = self.teacher.extract_feat(img)
        proposals = self.teacher.rpn_head.simple_test_rpn(feats, metas)
        boxes, labels = self.teacher.roi_head.simple_test_bboxes(
            feats, metas, proposals, self.teacher.test_cfg.rcnn, rescale=False
        )
        # a second look at moved boxes says how sure the first one was
        moved = [box[:, :4] + torch.randn_like(box[:, :4]) for box in boxes]
        regressed, _ = self.teacher.roi_head.simple_test_bboxes(feats, metas, moved, None, rescale=False)
        assert all(len(r) == len(b) for r, b in zip(regressed, boxes))
        keep = [box[:, 4] >= self.train_cfg.pseudo_label_score_thr for box in boxes]
        return feats, [b[k] for b, k in zip(boxes, keep)], [label[k] for label, k in zip(labels, keep)]

    @staticmethod
    def to_student(boxes, meta, other):
        if meta['flip'] == other['flip']:
            return boxes
        width = other['img_shape'][1]
        return torch.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)

    def rpn_losses(self, feats, boxes, metas):
        outs = self.student.rpn_head(feats)
        losses = self.student.rpn_head.loss(*outs, boxes, metas, gt_bboxes_ignore=None)
        cfg = self.student.train_cfg.get('rpn_proposal', self.student.test_cfg.rpn)
        return losses, self.student.rpn_head.get_bboxes(*outs, img_metas=metas, cfg=cfg)

    def sample(self, proposals, boxes, labels):
        roi_head = self.student.roi_head
        results = []
        for proposal, box, label in zip(proposals, boxes, labels):
            assigned = roi_head.bbox_assigner.assign(proposal, box, None, label)
            results.append(roi_head.bbox_sampler.sample(assigned, proposal, box, label))
        return results

    def roi_losses(self, feats, proposals, boxes, labels, metas, teacher_feats, teacher_metas):
        roi_head, bbox_head = self.student.roi_head, self.student.roi_head.bbox_head
        samples = self.sample(proposals, boxes, labels)
        selected = [sample.bboxes[:, :4] for sample in samples]
        rois = bbox2roi(selected)
        results = roi_head._bbox_forward(feats, rois)
        targets = bbox_head.get_targets(samples, boxes, labels, self.student.train_cfg.rcnn)
        with torch.no_grad():
            there = [self.to_student(b, m, o) for b, m, o in zip(selected, metas, teacher_metas)]
            _, scores = self.teacher.roi_head.simple_test_bboxes(
                teacher_feats, teacher_metas, there, None, rescale=False
            )
            background = torch.cat([score[:, -1] for score in scores])
        negative = targets[0] == bbox_head.num_classes
        targets[1][negative] = background[negative]
        losses = bbox_head.loss(results['cls_score'], results['bbox_pred'], rois, *targets, reduction_override='none')
        total = targets[1].sum().clamp(min=1)
        losses['loss_cls'] = losses['loss_cls'].sum() / total
        losses['loss_bbox'] = losses['loss_bbox'].sum() / max(len(rois), 1)
        return losses
