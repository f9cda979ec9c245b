import torch
from torch.testing import assert_close

from mmdet.core.bbox.assigners.center_prior import resolve_by_overlap


def test_resolve_by_overlap_chooses_among_candidates_only():
    candidates = torch.tensor([[True, True], [True, False], [False, False]])
    overlaps = torch.tensor([[0.2, 0.5], [0.3, 0.9], [0.8, 0.8]])
    best, gt_inds = resolve_by_overlap(candidates, overlaps)
    assert gt_inds.tolist() == [2, 1, 0]
    assert_close(best, torch.tensor([0.5, 0.3, -1e8]))
