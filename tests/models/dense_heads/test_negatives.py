"""Negative policies and annotated classes of images in the losses of anchor heads."""

import copy

import pytest
import torch

from mmdet.core.directives import (
    LABELED_CLASSES,
    NEGATIVES,
    UNLABELED_CLASSES,
    negative_weight_key,
    negatives_key,
    overlap_weights,
)

OBJECTS = [torch.tensor([[3.0, 4, 12, 13]]), torch.tensor([[4.0, 3, 13, 12], [17, 4, 26, 11]])]
SIGMOID = dict(loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True))
FOCAL = dict(loss_cls=dict(type='FocalLoss', use_sigmoid=True), train=dict(sampler=None))
SOFTMAX = dict(loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False))
CASES = {
    'rpn': ('RPNHead', {}),
    'rpn softmax': ('RPNHead', SOFTMAX),
    'retina': ('RetinaHead', dict(FOCAL, num_classes=3, stacked_convs=1)),
    'anchors': ('AnchorHead', dict(SIGMOID, num_classes=3)),
    'softmax': ('AnchorHead', dict(SOFTMAX, num_classes=3)),
}
EVERY = dict(type='recalibrate', score_thr=1e-9, warmup=0)  # every negative scores more
ROW = pytest.mark.parametrize('case', CASES)


@pytest.fixture
def run(build_head, meta):
    """``run(case, fields of the first image)``: both losses, gradients of the features."""

    def once(case, fields, iteration=None, prepare=lambda head: None):
        name, args = CASES[case]
        head = build_head(f'{name}WithWeightPerImage', **copy.deepcopy(args))
        prepare(head)
        if iteration is not None:
            head.follow_iter(iteration)
        torch.manual_seed(1)
        feats = torch.randn(2, 4, 3, 4).requires_grad_()
        labels = [] if case.startswith('rpn') else [[torch.zeros(len(g), dtype=torch.long) for g in OBJECTS]]
        losses = head.loss(*head([feats]), OBJECTS, *labels, [meta(24, 32, **fields), meta(24, 32)])
        total = torch.stack([sum(value) for value in losses.values()])
        total.sum().backward()
        return total.detach(), feats.grad

    return once


def slot(case):
    return 'rpn_head' if case.startswith('rpn') else 'bbox_head'


@ROW
def test_classification_loss_is_linear_in_the_weight_of_negatives(case, run):
    (plain, feats), (half, _), (none, feats0) = (run(case, {negative_weight_key(slot(case)): w}) for w in (1, 0.5, 0))
    torch.testing.assert_close(half, (plain + none) / 2)
    assert plain[0] > none[0] > 0 and plain[1] == none[1]
    torch.testing.assert_close(feats[1], feats0[1])


@ROW
def test_policies_for_all_heads_and_for_this_one(case, run):
    soft = dict(type='soft', weight=0.25)
    want = run(case, {negative_weight_key(slot(case)): 0.25})
    for key in (NEGATIVES, negatives_key(slot(case))):
        for got, expected in zip(run(case, {key: soft}), want):
            torch.testing.assert_close(got, expected)
    other = run(case, {negatives_key('roi_head'): 'none'})
    assert other[0].equal(run(case, {})[0])


@ROW
def test_negatives_that_score_as_objects_weigh_nothing(case, run):
    want, got = run(case, {NEGATIVES: 'none'}), run(case, {NEGATIVES: EVERY})
    torch.testing.assert_close(got[0], want[0])
    torch.testing.assert_close(got[1], want[1], rtol=1e-3, atol=1e-6)


def test_scores_count_from_the_iteration_on(run):
    warm = {NEGATIVES: dict(EVERY, warmup=7)}
    plain, none = run('rpn', {})[0], run('rpn', {NEGATIVES: 'none'})[0]
    assert run('rpn', warm, iteration=6)[0].equal(plain)
    torch.testing.assert_close(run('rpn', warm, iteration=7)[0], none)
    with pytest.raises(RuntimeError, match='the head does not know the iteration'):
        run('rpn', warm)


@pytest.mark.parametrize('case', ['retina', 'anchors', 'softmax'])
def test_image_without_labelled_classes_has_no_evidence(case, run):
    want, got = run(case, {NEGATIVES: 'none'}), run(case, {LABELED_CLASSES: []})
    torch.testing.assert_close(got[0], want[0])
    torch.testing.assert_close(got[1], want[1], rtol=1e-3, atol=1e-6)
    some = run(case, {UNLABELED_CLASSES: [1]})[0]
    assert want[0][0] < some[0] < run(case, {})[0][0]


def test_first_stage_has_no_classes(run):
    assert run('rpn', {LABELED_CLASSES: []})[0].equal(run('rpn', {})[0])


def test_overlap_weighs_each_negative_by_its_own_overlap(build_head, meta):
    head = build_head('RPNHeadWithWeightPerImage')
    anchors, flags = head.get_anchors([(3, 3)], [meta(24, 24)], device='cpu')
    gts = torch.tensor([[4.0, 4, 13, 13]])
    fields = {NEGATIVES: dict(type='overlap', floor=0.1, steepness=1), 'rpn_head.loss_weight': 2}
    labels, weights, *_ = head._get_targets_single(anchors[0][0], flags[0][0], gts, None, None, meta(24, 24, **fields))
    # anchors of 8 px, those of a cell's corner; (4, 4, 12, 12) is on the object, 81 px large
    one_px, corner = 8 / (64 + 81 - 8), 1 / (64 + 81 - 1)
    overlaps = torch.tensor([[0, 0, 0], [0, 1, one_px], [0, one_px, corner]]).flatten()
    want = 2 * overlap_weights(overlaps, 0.1, 1)
    want[4] = 2  # the positive
    assert labels.tolist() == [1, 1, 1, 1, 0, 1, 1, 1, 1]
    torch.testing.assert_close(weights, want)
