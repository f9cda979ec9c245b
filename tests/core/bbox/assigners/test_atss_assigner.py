import pytest
import torch
from other_assigners_cases import FLAT, call
from torch.testing import assert_close

from mmdet.core.bbox import build_assigner
from mmdet.core.bbox.assigners.center_prior import depth_inside


def test_atss_takes_squares_around_the_centre():
    result = call('ATSSAssigner', torch.tensor([[8.0, 8, 32, 32]]), torch.tensor([1]))
    inside = depth_inside((FLAT[:, :2] + FLAT[:, 2:]) / 2, torch.tensor([[8.0, 8, 32, 32]]))[:, 0] > 0
    positive = result.gt_inds > 0
    assert positive.any() and not (positive & ~inside).any()
    assert (result.max_overlaps[~positive] == -1e8).all()
    overlaps = result.max_overlaps[positive]
    assert_close(overlaps, torch.full_like(overlaps, 256 / (24 * 24)))  # the 16 px squares win against 8 px ones


def test_atss_ignored_squares_are_left_out():
    assigner = build_assigner(dict(type='ATSSAssigner', topk=4, ignore_iof_thr=0.5))
    gts, ignore = torch.tensor([[0.0, 0, 16, 16]]), torch.tensor([[32.0, 32, 64, 64]])
    result = assigner.assign(FLAT, [64, 16], gts, ignore, torch.tensor([0]))
    assert (result.gt_inds == -1).nonzero()[:, 0].tolist() == [
        *(8 * r + c for r in range(4, 8) for c in range(4, 8))
    ] + [64 + 4 * r + c for r in (2, 3) for c in (2, 3)]


def test_atss_with_alpha_needs_predictions():
    assigner = build_assigner(dict(type='ATSSAssigner', topk=4, alpha=0.8))
    with pytest.raises(ValueError, match='needs cls_scores, bbox_preds and gt_labels'):
        assigner.assign(FLAT, [64, 16], FLAT[:1], None, torch.tensor([0]))
