import torch
from other_assigners_cases import FLAT

from mmdet.core.bbox import build_assigner
from mmdet.core.bbox.assigners.uniform_assigner import last_match


def test_uniform_last_match_stays():
    got = last_match(torch.tensor([2, 0, 2]), torch.tensor([5, 6, 7]), torch.tensor([0, -1, 0]))
    assert got.tolist() == [6, -1, 7]


def test_uniform_keeps_the_gradient_of_predictions():
    preds = FLAT.clone().requires_grad_()
    assigner = build_assigner(dict(type='UniformAssigner', pos_ignore_thr=0.15, neg_ignore_thr=0.7, match_times=2))
    result = assigner.assign(preds, FLAT, FLAT[[5]], None, torch.tensor([0]))
    boxes = result.get_extra_property('pos_predicted_boxes')
    assert boxes.shape == result.get_extra_property('target_boxes').shape == (4, 4)
    boxes.sum().backward()
    assert preds.grad.sum() == 16
