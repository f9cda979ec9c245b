import torch
from samplers_cases import sample


def test_instance_balanced_takes_as_many_of_a_rare_object():
    result = sample('instance', [1] * 50 + [2] * 3, num=12)
    assert (result.pos_assigned_gt_inds == 1).sum() >= 2 and len(result.pos_inds) == 6
    result = sample('instance', [1] * 50 + [2] * 40, num=40)
    counts = torch.bincount(result.pos_assigned_gt_inds)
    assert counts.sum() == 20 and counts.min() >= 9
