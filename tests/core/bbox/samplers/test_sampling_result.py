import torch
from samplers_cases import assigned

from mmdet.core.bbox.demodata import random_boxes
from mmdet.core.bbox.samplers import RandomSampler, SamplingResult


def test_sampling_result_fields_by_hand():
    bboxes, gts = random_boxes(3, 9, 0), random_boxes(2, 9, 1)
    scored = torch.cat([bboxes, torch.ones(3, 1)], dim=1)
    result = RandomSampler(10, 0.5).sample(assigned([0, 2, -1]), scored, gts, torch.tensor([4, 6]))
    assert result.pos_inds.tolist() == [0, 1, 3] and result.neg_inds.tolist() == [2]
    assert torch.equal(result.pos_bboxes, torch.cat([gts, bboxes[1:2]]))
    assert torch.equal(result.bboxes, torch.cat([gts, bboxes[[1, 0]]]))
    assert result.pos_is_gt.tolist() == [1, 1, 0]
    assert result.pos_assigned_gt_inds.tolist() == [0, 1, 1]
    assert torch.equal(result.pos_gt_bboxes, gts[[0, 1, 1]])
    assert result.pos_gt_labels.tolist() == [4, 6, 1]
    assert result.num_gts == result.info['num_gts'] == 2
    assert result.to('cpu') is result


def test_random_sampling_result_is_consistent():
    result = SamplingResult.random(rng=0, num_gts=2, num_preds=20)
    assert len(result.bboxes) == len(result.pos_inds) + len(result.neg_inds)
    assert result.pos_gt_bboxes.shape == result.pos_bboxes.shape
