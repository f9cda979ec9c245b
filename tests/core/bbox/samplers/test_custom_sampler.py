"""Samplers that read ``ignore_negatives``."""

import pickle
from types import SimpleNamespace

import pytest
import torch

from mmdet.core.bbox import build_sampler
from mmdet.core.bbox.assigners import AssignResult
from mmdet.core.bbox.builder import BBOX_SAMPLERS
from mmdet.core.bbox.demodata import random_boxes
from mmdet.core.bbox.samplers import (
    BasicSamplerWithIgnore,
    CombinedSampler,
    InstanceBalancedPosSampler,
    IoUBalancedNegSampler,
    PseudoSampler,
    RandomSampler,
    RandomSamplerWithIgnore,
    ScoreHLRSampler,
)
from mmdet.core.bbox.samplers.custom_sampler import without_ignored_negatives


class Unused:
    """A RoI head that no sampler may ask for losses."""

    bbox_head = SimpleNamespace(num_classes=1)
    bbox_roi_extractor = None
    with_shared_head = False


def sample(sampler, gt_inds, img_metas, num_gts=1):
    gt_inds = torch.tensor(gt_inds, dtype=torch.long)
    assigned = AssignResult(num_gts, gt_inds, torch.zeros(len(gt_inds)), gt_inds - 1)
    gts, labels = random_boxes(num_gts, 9, 1), torch.arange(num_gts)
    return sampler.sample(assigned, random_boxes(len(gt_inds), 9, 0), gts, labels, feats=[], img_metas=img_metas)


def random_sampler(**kwargs):
    return build_sampler(dict(type='RandomSamplerWithIgnore', num=8, pos_fraction=0.5) | kwargs)


@pytest.mark.parametrize(
    'value, num_neg', [(1, 0), (True, 0), (1.0, 0), (0, 6), (False, 6), (None, 6), (2, 6), ('1', 6)]
)
def test_flag_is_on_where_it_equals_one(value, num_neg):
    result = sample(random_sampler(), [1] + [0] * 9, {'ignore_negatives': value})
    assert (len(result.pos_inds), len(result.neg_inds)) == (2, num_neg)


@pytest.mark.parametrize('img_metas', [None, {}])
def test_without_the_key_negatives_are_picked(img_metas):
    assert len(sample(random_sampler(), [1] + [0] * 9, img_metas).neg_inds) == 6


def test_positives_do_not_fill_the_room_of_the_negatives():
    result = sample(random_sampler(), [1] * 20 + [0] * 20, {'ignore_negatives': 1})
    assert (len(result.pos_inds), len(result.neg_inds)) == (4, 0)


def test_flagged_image_without_ground_truth_is_empty():
    result = sample(random_sampler(), [0] * 9, {'ignore_negatives': 1}, num_gts=0)
    assert result.pos_inds.shape == result.neg_inds.shape == (0,)
    assert result.bboxes.shape == result.pos_gt_bboxes.shape == (0, 4)


def test_ohem_with_the_flag_asks_for_no_loss():
    sampler = build_sampler(dict(type='OHEMSamplerWithIgnore', num=8, pos_fraction=0.5), context=Unused())
    assert len(sample(sampler, [1] + [0] * 9, {'ignore_negatives': 1}).neg_inds) == 0


def combined(**kwargs):
    part = dict(type='RandomSampler')
    return dict(pos_sampler=part, neg_sampler=part, **kwargs)


@pytest.mark.parametrize(
    'parent, kwargs',
    [
        (RandomSampler, dict(num=8, pos_fraction=0.5)),
        (InstanceBalancedPosSampler, dict(num=8, pos_fraction=0.5)),
        (IoUBalancedNegSampler, dict(num=8, pos_fraction=0.5)),
        (CombinedSampler, combined(num=8, pos_fraction=0.5)),
        (PseudoSampler, {}),
        (ScoreHLRSampler, dict(num=8, pos_fraction=0.5, context=Unused())),
    ],
    ids=lambda value: getattr(value, '__name__', ''),
)
def test_mixin_serves_every_sampler(parent, kwargs):
    sampler = build_sampler(dict(type=f'{parent.__name__}WithIgnore', **kwargs))
    assert isinstance(sampler, BasicSamplerWithIgnore)
    result = sample(sampler, [1] + [0] * 19, {'ignore_negatives': 1})
    result = result[0] if parent is ScoreHLRSampler else result
    assert len(result.neg_inds) == 0 and len(result.pos_inds) == (1 if parent is PseudoSampler else 2)
    if parent is not ScoreHLRSampler:
        assert len(sample(sampler, [1] + [0] * 19, {}).neg_inds) == (19 if parent is PseudoSampler else 6)


def test_every_registered_sampler_has_a_version_that_reads_the_flag():
    for name, plain in BBOX_SAMPLERS.module_dict.items():
        if not issubclass(plain, BasicSamplerWithIgnore):
            reading = BBOX_SAMPLERS.get(f'{name}WithIgnore')
            assert issubclass(reading, plain) and issubclass(reading, BasicSamplerWithIgnore)
            assert reading is BBOX_SAMPLERS.get(f'{name}WithIgnore')
            assert pickle.loads(pickle.dumps(reading)) is reading
    assert BBOX_SAMPLERS.get('RandomSamplerWithIgnore') is RandomSamplerWithIgnore


@pytest.mark.parametrize(
    ('name', 'error', 'message'),
    [
        ('RandomSampleWithIgnore', KeyError, "did you mean 'RandomSamplerWithIgnore'"),
        ('ScoreHLRSamplerWithIgnor', KeyError, "did you mean 'ScoreHLRSamplerWithIgnore'"),
        ('NoNegativesWithIgnore', TypeError, 'NoNegatives .* has no method _sample_neg'),
        ('RandomSamplerWithIgnoreWithIgnore', TypeError, 'reads ignore_negatives already'),
    ],
)
def test_names_without_a_sampler_are_explained(name, error, message):
    BBOX_SAMPLERS.register_module(name='NoNegatives', module=type('NoNegatives', (), {}), force=True)
    try:
        with pytest.raises(error, match=message):
            build_sampler(dict(type=name))
    finally:
        BBOX_SAMPLERS.module_dict.pop('NoNegatives')


def test_negatives_of_an_image_take_no_part():
    inds = torch.tensor([1, 0, -1])
    reading, plain = RandomSamplerWithIgnore(4, 0.5), RandomSampler(4, 0.5)
    meta = dict(ignore_negatives=1)
    assert without_ignored_negatives(reading, inds, meta).tolist() == [1, -1, -1]
    assert without_ignored_negatives(reading, inds, {}).tolist() == [1, 0, -1]
    assert without_ignored_negatives(plain, inds, meta).tolist() == [1, 0, -1]
