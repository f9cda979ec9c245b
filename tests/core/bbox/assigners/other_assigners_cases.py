"""One way to call each assigner on the same anchors, and the scenes that several of them are asked to solve."""

import torch

from mmdet.core.anchor import AnchorGenerator, MlvlPointGenerator
from mmdet.core.bbox import build_assigner
from mmdet.core.bbox.transforms import bbox_xyxy_to_cxcywh

META = dict(img_shape=(64, 64, 3))
SIZES = [(8, 8), (4, 4)]
ANCHORS = AnchorGenerator([8, 16], [1.0], [1.0], center_offset=0.5).grid_priors(SIZES, device='cpu')
FLAT = torch.cat(ANCHORS)  # 64 squares of 8 px and 16 of 16 px, side by side
POINTS = torch.cat(MlvlPointGenerator([8, 16]).grid_priors(SIZES, device='cpu', with_stride=True))


def call(name, gts, labels, flat=FLAT):
    """Run an assigner on squares that are predicted as they are, with even scores."""
    n = len(flat)
    scores, points = torch.full((n, 3), 0.5), POINTS[:n]
    flags, levels = torch.ones(n, dtype=torch.bool), [min(n, 64), max(n - 64, 0)]
    split = list(flat.split(levels))
    masks, gt_masks = torch.zeros(n, 4, 4), torch.zeros(len(gts), 4, 4)
    configs = {
        'ApproxMaxIoUAssigner': (dict(pos_iou_thr=0.5, neg_iou_thr=0.4), (flat, flat, 1, gts, None, labels)),
        'ATSSAssigner': (dict(topk=9), (flat, levels, gts, None, labels)),
        'CenterRegionAssigner': (dict(pos_scale=0.2, neg_scale=0.5), (flat, gts, None, labels)),
        'GridAssigner': (dict(pos_iou_thr=0.5, neg_iou_thr=0.5), (flat, flags, gts, labels)),
        'HungarianAssigner': ({}, (bbox_xyxy_to_cxcywh(flat / 64), scores, gts, labels, META)),
        'MaskHungarianAssigner': ({}, (scores, masks, labels, gt_masks, META)),
        'MaxIoUAssigner': (dict(pos_iou_thr=0.5, neg_iou_thr=0.4), (flat, gts, None, labels)),
        'PointAssigner': (dict(scale=1, pos_num=1), (points[:, :3], gts, None, labels)),
        'RegionAssigner': ({}, (split, flags.split(levels), gts, META, SIZES, 1, [8, 16], None, labels)),
        'SimOTAAssigner': ({}, (scores, points, flat, gts, labels)),
        'TaskAlignedAssigner': (dict(topk=1), (scores, flat, flat, gts, None, labels)),
        'UniformAssigner': (
            dict(pos_ignore_thr=0.15, neg_ignore_thr=0.7, match_times=1),
            (flat, flat, gts, None, labels),
        ),
    }
    kwargs, args = configs[name]
    return build_assigner(dict(type=name, **kwargs)).assign(*args)
