import torch
from mining_samplers_cases import Context, assigned, boxes
from torch.testing import assert_close

from mmdet.core.bbox import build_sampler
from mmdet.core.bbox.samplers.score_hlr_sampler import hierarchical_rank, rank_weights


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


def test_score_hlr_groups_boxes_as_their_best_class_places_them():
    # the first two lie in one place, but are decoded for different classes, 100 px apart
    candidates = torch.tensor([[3.0, 2.9, 13, 13], [2.9, 3, 13, 13], [-1, -50, 9, -40]])
    result, _ = score_hlr([0, 0, 0], candidates)
    assert sorted(result.neg_inds.tolist()) == [0, 1, 2] and result.neg_inds[2] == 2


def test_score_hlr_defaults_are_those_of_the_public_signature():
    sampler = build_sampler(dict(type='ScoreHLRSampler', num=4, pos_fraction=0.25), context=Context())
    assert (sampler.k, sampler.bias, sampler.score_thr, sampler.iou_thr) == (0.5, 0, 0.05, 0.5)


def test_score_hlr_decodes_one_box_for_all_classes():
    sampler = build_sampler(dict(type='ScoreHLRSampler', num=4, pos_fraction=0.25), context=Context())
    predicted = torch.arange(8.0).reshape(2, 4)
    assert torch.equal(sampler.decode(torch.zeros(2, 4), predicted, torch.tensor([1, 0])), predicted)
