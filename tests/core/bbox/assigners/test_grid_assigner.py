import torch
from other_assigners_cases import FLAT

from mmdet.core.bbox import build_assigner


def test_grid_only_responsible_boxes_are_positive():
    gts, flags = FLAT[:1] + 1, torch.zeros(80, dtype=torch.uint8)
    flags[9] = 1
    assigner = build_assigner(dict(type='GridAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5))
    result = assigner.assign(FLAT, flags, gts, torch.tensor([2]))
    assert result.gt_inds[:2].tolist() == [-1, 0]  # overlaps enough, but another cell is responsible
    assert result.gt_inds[9] == 1 and result.max_overlaps[0] == -1
