"""Samplers that ask a RoI head for losses, with a head whose losses are known."""

import pytest
import torch
from torch.testing import assert_close

from mmdet.core.bbox import build_sampler
from mmdet.core.bbox.assigners import AssignResult
from mmdet.core.bbox.coder import PseudoBBoxCoder
from mmdet.core.bbox.samplers.score_hlr_sampler import hierarchical_rank, rank_weights


class Head:
    """A box head of two classes whose class scores are the RoIs' coordinates x1, y1 and 0 for the background."""

    num_classes = 2
    bbox_coder = PseudoBBoxCoder()

    def loss(self, cls_score, labels, label_weights, reduction_override, **kwargs):
        assert reduction_override == 'none' and bool((label_weights == 1).all())
        return dict(loss_cls=torch.nn.functional.cross_entropy(cls_score, labels, reduction='none'))


class Context:
    """A RoI head with that box head, single-stage or of two stages."""

    def __init__(self, stages=None):
        self.bbox_head = Head()
        self.bbox_roi_extractor = [None] * stages if stages else None
        self.with_shared_head = False
        if stages:
            self.num_stages, self.current_stage, self.bbox_head = stages, stages - 1, [None] * (stages - 1) + [Head()]

    def _bbox_forward(self, *args):
        rois = args[-1]
        assert len(args) == (3 if hasattr(self, 'num_stages') else 2)
        scores = torch.cat([rois[:, 1:3], torch.zeros(len(rois), 1)], dim=1)
        return dict(cls_score=scores, bbox_pred=torch.cat([rois[:, 1:], rois[:, 1:] + 100], dim=1))


def boxes(*values):
    """Boxes with class score ``value`` for class 0 and -50 for class 1."""
    return torch.tensor([[v, -50.0, v + 10, -40.0] for v in values])


def assigned(*gt_inds):
    gt_inds = torch.tensor(gt_inds)
    return AssignResult(1, gt_inds, torch.zeros(len(gt_inds)), gt_inds - 1)


@pytest.mark.parametrize('stages', [None, 2])
def test_ohem_takes_the_largest_losses(stages):
    config = dict(type='OHEMSampler', num=4, pos_fraction=0.5, add_gt_as_proposals=False)
    sampler = build_sampler(config, context=Context(stages))
    result = assigned(1, 1, 1, 0, 0, 0, -1)
    picked = sampler.sample(result, boxes(3, -1, 0, -2, 4, 1, 99), boxes(0), torch.tensor([0]), feats=[], img_metas={})
    assert picked.pos_inds.tolist() == [1, 2]  # positives of class 0: a low score is hard
    assert picked.neg_inds.tolist() == [4, 5]  # background: a high score is hard


def test_ohem_fewer_than_wanted_are_all_taken():
    sampler = build_sampler(dict(type='OHEMSampler', num=9, pos_fraction=0.5), context=Context())
    picked = sampler.sample(assigned(0, 0), boxes(1, 2), boxes(0), torch.tensor([0]), feats=[])
    assert picked.pos_inds.tolist() == [0] and picked.neg_inds.tolist() == [1, 2]


def test_hierarchical_rank_leaders_of_groups_come_first():
    overlapping = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60], [0, 0, 9, 10]])
    ranks = hierarchical_rank(torch.tensor([0.9, 0.8, 0.3, 0.95]), overlapping, iou_thr=0.5)
    assert ranks.tolist() == [2, 3, 1, 0]


def test_rank_weights_by_hand():
    weights = rank_weights(torch.tensor([0, 1]), num_scored=2, num=4, bias=0.2, k=2)
    assert_close(weights, torch.tensor([1.0, 0.8, 0.8, 0.8]) ** 2)


def score_hlr(gt_inds, candidates, **kwargs):
    config = dict(type='ScoreHLRSampler', num=4, pos_fraction=0.25, add_gt_as_proposals=False) | kwargs
    sampler = build_sampler(config, context=Context())
    return sampler.sample(assigned(*gt_inds), candidates, boxes(0), torch.tensor([0]), feats=[], img_metas={})


def test_score_hlr_ranks_scored_negatives_and_keeps_the_loss():
    candidates = boxes(3, 2, -9, -9, 40)
    result, weights = score_hlr([0, 0, 0, 0, 1], candidates, num=2)
    assert result.neg_inds.tolist() == [0, 1] and result.pos_inds.tolist() == []
    result, weights = score_hlr([0, 0, 0, 0, 1], candidates)
    assert result.pos_inds.tolist() == [4]
    assert result.neg_inds[:2].tolist() == [0, 1] and result.neg_inds[2] in (2, 3)
    scores = candidates[result.neg_inds, 0]
    losses = torch.log1p(scores.exp())
    assert_close((losses * weights).sum(), losses.sum(), rtol=1e-4, atol=1e-4)
    assert weights[0] > weights[1] == weights[2]


def test_score_hlr_without_scores_weighs_all_alike():
    result, weights = score_hlr([0] * 6, boxes(*[-9.0] * 6))
    assert len(result.neg_inds.unique()) == 4 and weights.tolist() == [1.0] * 4


def test_score_hlr_without_negatives_gives_empty_weights():
    result, weights = score_hlr([1, -1], boxes(1, 2))
    assert result.pos_inds.tolist() == [0] and len(result.neg_inds) == len(weights) == 0
