import torch

from mmdet.core.bbox import build_assigner
from mmdet.core.bbox.assigners.region_assigner import object_levels


def test_point_goes_to_the_nearer_object():
    gts = torch.tensor([[0.0, 0, 8, 8], [2, 2, 8, 8]])
    result = build_assigner(dict(type='PointAssigner', scale=1, pos_num=1)).assign(
        torch.tensor([[4.9, 4.9, 8], [40, 40, 8], [5, 5, 16]]), gts, None, torch.tensor([0, 1])
    )
    assert result.gt_inds.tolist() == [2, 0, 0]


def test_object_levels_double_with_the_side():
    boxes = torch.tensor([[0.0, 0, side, side] for side in (1, 32, 64, 128, 999)])
    assert object_levels(boxes, 32, 3).tolist() == [0, 0, 1, 2, 2]
