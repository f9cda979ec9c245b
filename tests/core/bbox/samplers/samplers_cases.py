"""Matches and settings from which the tests of several samplers draw."""

import torch

from mmdet.core.bbox import build_sampler
from mmdet.core.bbox.assigners import AssignResult
from mmdet.core.bbox.demodata import random_boxes

SAMPLERS = {
    'random': dict(type='RandomSampler'),
    'instance': dict(type='InstanceBalancedPosSampler'),
    'iou': dict(type='IoUBalancedNegSampler', floor_thr=0.1, floor_fraction=0.5),
    'combined': dict(
        type='CombinedSampler',
        pos_sampler=dict(type='InstanceBalancedPosSampler'),
        neg_sampler=dict(type='IoUBalancedNegSampler'),
    ),
}


def assigned(gt_inds, num_gts=2, overlaps=None):
    gt_inds = torch.tensor(gt_inds, dtype=torch.long)
    overlaps = torch.zeros(len(gt_inds)) if overlaps is None else overlaps
    return AssignResult(num_gts, gt_inds, overlaps, gt_inds - 1)


def sample(name, gt_inds, num_gts=2, overlaps=None, **kwargs):
    kwargs = dict(num=8, pos_fraction=0.5, add_gt_as_proposals=False) | kwargs
    result, gts = assigned(gt_inds, num_gts, overlaps), random_boxes(num_gts, 9, 1)
    sampler = build_sampler(SAMPLERS[name] | kwargs, context=None)
    return sampler.sample(result, random_boxes(len(gt_inds), 9, 0), gts, torch.arange(num_gts), img_metas={})
