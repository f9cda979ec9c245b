import torch
from other_assigners_cases import FLAT

from mmdet.core.bbox import build_assigner


def test_approx_takes_the_best_of_its_boxes():
    squares = FLAT[:2]
    approxs = torch.stack([squares[0] + 20, squares[0], squares[1] + 20, squares[1] + 30])
    assigner = build_assigner(dict(type='ApproxMaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4))
    result = assigner.assign(approxs, squares, 2, FLAT[:1], None, torch.tensor([1]))
    assert result.gt_inds.tolist() == [1, 0]
    assert result.max_overlaps.tolist() == [1.0, 0.0]
