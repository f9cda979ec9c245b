"""Negative policies: which one counts, its factor, warm-up, and weights by overlap."""

import math

import pytest
import torch

from mmdet.core.directives import Policy, ignores_negatives, negative_policy, overlap_weights


@pytest.mark.parametrize(
    'value, expected',
    [(1, True), (True, True), (1.0, True), (0, False), (False, False), (None, False), ('1', False), (2, False)],
)
def test_ignores_negatives_is_on_where_the_value_equals_one(value, expected):
    assert ignores_negatives({'ignore_negatives': value}) is expected


def test_ignores_negatives_absent_is_off():
    assert ignores_negatives({}) is False
    assert ignores_negatives(None) is False


def test_policy_none_is_that_of_the_samplers_too():
    assert ignores_negatives({'negatives': 'none'}) is True
    assert ignores_negatives({'negatives': dict(type='soft', weight=0)}) is False
    assert ignores_negatives({'rpn_head.negatives': 'none'}) is False  # a sampler does not know its head


@pytest.mark.parametrize(
    ('meta', 'factor'),
    [
        ({}, 1.0),
        ({'negatives': 'all'}, 1.0),
        ({'negatives': 'none', 'bbox_head.negative_weight': 0.5}, 0.0),
        ({'negatives': dict(type='soft', weight=0.25)}, 0.25),
        ({'negatives': dict(type='soft', weight=0.25), 'roi_head.negative_weight': 0.5}, 0.125),
        ({'roi_head.negative_weight': 0.5, 'bbox_head.negative_weight': 0.25}, 0.25),
        ({'negatives': 'none', 'roi_head.negatives': 'all'}, 1.0),
        ({'rpn_head.negatives': 'none', 'rpn_head.negative_weight': 0}, 1.0),
        ({'negatives': 'recalibrate'}, 1.0),
        ({'negatives': 'overlap', 'roi_head.negative_weight': 0.5}, 0.5),
    ],
)
def test_factor_of_negatives_is_that_of_the_first_head_named(meta, factor):
    assert negative_policy(meta, ('bbox_head', 'roi_head')).factor == factor


def test_overlap_weights_follow_the_gompertz_curve():
    overlaps = [0.0, 0.1, 0.2, 0.4]
    want = [0.25 + 0.75 * math.exp(-50 * math.exp(-20 * o)) for o in overlaps]
    torch.testing.assert_close(overlap_weights(torch.tensor(overlaps)), torch.tensor(want))
    assert want[0] == pytest.approx(0.25) and want[-1] == pytest.approx(0.9875, abs=1e-3)
    assert overlap_weights(torch.zeros(1), floor=0, steepness=1, rate=1).item() == pytest.approx(math.exp(-1))


def test_scores_count_after_the_warm_up():
    policy = negative_policy({'negatives': dict(type='recalibrate', score_thr=0.7, warmup=10)}, ('rpn_head',))
    assert policy.at(9) == Policy() and policy.at(10) is policy
    scaled = policy._replace(scale=0.5)
    assert scaled.at(9).factor == 0.5 == scaled.at(10).factor
    at_once = {'roi_head.negatives': dict(type='recalibrate', warmup=0)}
    assert negative_policy(at_once, ('roi_head',)).at(None).score_thr == 0.5
    with pytest.raises(RuntimeError, match='the head does not know the iteration: register SetIterHook'):
        policy.at(None)
