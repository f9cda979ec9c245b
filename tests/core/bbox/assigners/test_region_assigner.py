import torch
from other_assigners_cases import call

from mmdet.core.bbox.assigners.region_assigner import leave_out_marked


def test_region_centre_and_ring_by_hand():
    result = call('RegionAssigner', torch.tensor([[16.0, 16, 32, 32]]), torch.tensor([0]))
    assert result.gt_inds[64:].reshape(4, 4)[:3, :3].tolist() == [[-1, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert result.gt_inds[:64].reshape(8, 8)[:7, :7].flatten().tolist() == [-1, -1] + [0] * 47
    large = call('RegionAssigner', torch.tensor([[0.0, 0, 64, 64]]), torch.tensor([0]))
    assert large.gt_inds[64:].reshape(4, 4)[:3, :3].tolist() == [[-1, 0, 0], [0, -1, -1], [0, -1, -1]]


def test_region_marks_of_other_levels_are_row_numbers():
    assert leave_out_marked(torch.tensor([5, 6, 7]), torch.tensor([False, False, True])).tolist() == [-1, -1, 7]
    assert leave_out_marked(torch.tensor([5, 6, 7]), torch.tensor([False] * 3)).tolist() == [-1, 6, 7]
