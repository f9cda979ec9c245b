"""Anchors, overlaps, matches, samples and codes of boxes (n, 5)."""

import torch
from mmcv.ops import box_iou_rotated

from mmdet.core import AnchorGenerator, AssignResult, BaseAssigner, BaseBBoxCoder, RandomSampler, SamplingResult
from mmdet.core.anchor.builder import ANCHOR_GENERATORS
from mmdet.core.bbox.builder import BBOX_ASSIGNERS, BBOX_CODERS, BBOX_SAMPLERS
from mmdet.core.bbox.iou_calculators import build_iou_calculator
from mmdet.core.bbox.iou_calculators.builder import IOU_CALCULATORS


@ANCHOR_GENERATORS.register_module()
class RotatedAnchorGenerator(AnchorGenerator):
    def single_level_grid_priors(self, featmap_size, level_idx, dtype=torch.float32, device='cuda'):
        anchors = super().single_level_grid_priors(featmap_size, level_idx, dtype=dtype, device=device)
        centre, size = (anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]
        return torch.cat([centre, size, torch.zeros_like(centre[:, :1])], 1)


@IOU_CALCULATORS.register_module()
class RotatedOverlaps2D:
    def __call__(self, bboxes1, bboxes2, mode='iou', is_aligned=False):
        assert bboxes1.size(-1) in (0, 5, 6) and bboxes2.size(-1) in (0, 5, 6)
        return box_iou_rotated(bboxes1[:, :5].float(), bboxes2[:, :5].float(), mode, is_aligned)


@BBOX_ASSIGNERS.register_module()
class RotatedAssigner(BaseAssigner):
    def __init__(self, pos_iou_thr, neg_iou_thr, iou_calculator):
        self.pos_iou_thr, self.neg_iou_thr = pos_iou_thr, neg_iou_thr
        self.iou_calculator = build_iou_calculator(iou_calculator)

    def assign(self, bboxes, gt_bboxes, gt_bboxes_ignore=None, gt_labels=None):
        inds = bboxes.new_full((len(bboxes),), -1, dtype=torch.long)
        if not len(gt_bboxes) or not len(bboxes):
            inds[:] = 0
            labels = None if gt_labels is None else inds.new_full((len(bboxes),), -1)
            return AssignResult(len(gt_bboxes), inds, bboxes.new_zeros(len(bboxes)), labels=labels)
        overlaps = self.iou_calculator(gt_bboxes, bboxes)
        best, gts = overlaps.max(0)
        inds[best < self.neg_iou_thr] = 0
        inds[best >= self.pos_iou_thr] = gts[best >= self.pos_iou_thr] + 1
        inds[overlaps.argmax(1)] = torch.arange(len(gt_bboxes)) + 1
        labels = None
        if gt_labels is not None:
            labels = inds.new_full((len(bboxes),), -1)
            labels[inds > 0] = gt_labels[inds[inds > 0] - 1]
        return AssignResult(len(gt_bboxes), inds, best, labels=labels)


@BBOX_SAMPLERS.register_module()
class RotatedRandomSampler(RandomSampler):
    """The samplers of 2.x cut boxes to four columns."""

    def sample(self, assign_result, bboxes, gt_bboxes, gt_labels=None, **kwargs):
        bboxes = bboxes[:, :5]
        flags = bboxes.new_zeros((len(bboxes),), dtype=torch.uint8)
        if self.add_gt_as_proposals and len(gt_bboxes):
            bboxes = torch.cat([gt_bboxes, bboxes])
            assign_result.add_gt_(gt_labels)
            flags = torch.cat([flags.new_ones(len(gt_bboxes)), flags])
        num_pos = int(self.num * self.pos_fraction)
        pos = self.pos_sampler._sample_pos(assign_result, num_pos, bboxes=bboxes, **kwargs).unique()
        neg = self.neg_sampler._sample_neg(assign_result, self.num - pos.numel(), bboxes=bboxes, **kwargs).unique()
        return SamplingResult(pos, neg, bboxes, gt_bboxes, assign_result, flags)


@BBOX_CODERS.register_module()
class DeltaXYWHACoder(BaseBBoxCoder):
    encode_size = 5

    def encode(self, bboxes, gt_bboxes):
        assert bboxes.size(-1) == gt_bboxes.size(-1) == self.encode_size
        centre = (gt_bboxes[:, :2] - bboxes[:, :2]) / bboxes[:, 2:4]
        size = (gt_bboxes[:, 2:4] / bboxes[:, 2:4]).log()
        return torch.cat([centre, size, gt_bboxes[:, 4:5] - bboxes[:, 4:5]], 1)

    def decode(self, bboxes, pred_bboxes, max_shape=None):
        boxes = bboxes.repeat_interleave(pred_bboxes.size(1) // 5, 0)
        deltas = pred_bboxes.reshape(-1, 5)
        centre = boxes[:, :2] + deltas[:, :2] * boxes[:, 2:4]
        size = boxes[:, 2:4] * deltas[:, 2:4].clamp(-4, 4).exp()
        return torch.cat([centre, size, boxes[:, 4:5] + deltas[:, 4:5]], 1).view_as(pred_bboxes)


def rbbox2roi(bbox_list):
    """N times (n, 5 or more) -> (sum of n, 6) with the image's number first."""
    rows = [torch.cat([boxes.new_full((len(boxes), 1), i), boxes[:, :5]], 1) for i, boxes in enumerate(bbox_list)]
    return torch.cat(rows, 0)


def rbbox2result(bboxes, labels, num_classes):
    bboxes, labels = bboxes.detach().cpu().numpy(), labels.detach().cpu().numpy()
    return [bboxes[labels == i] for i in range(num_classes)]
