import torch
from torch.testing import assert_close

from mmdet.core.bbox import build_assigner


def test_task_aligned_prefers_score_times_overlap():
    boxes, gts = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8]]), torch.tensor([[0.0, 0, 10, 10]])
    assigner = build_assigner(dict(type='TaskAlignedAssigner', topk=1))
    scores = torch.tensor([[0.1], [0.9]])
    result = assigner.assign(scores, boxes, boxes, gts, None, torch.tensor([0]), alpha=1, beta=1)
    assert result.gt_inds.tolist() == [0, 1]
    assert_close(result.assign_metrics, torch.tensor([0.0, 0.9 * 0.8]))
    strict = assigner.assign(scores, boxes, boxes, gts, None, torch.tensor([0]), alpha=1, beta=20)
    assert strict.gt_inds.tolist() == [1, 0]
