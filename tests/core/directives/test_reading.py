"""The per-image training directives: reading, defaults and refusals."""

import math

import pytest
import torch

from mmdet.core import directives


def test_loss_weight_absent_is_one():
    assert directives.loss_weight({}, 'rpn_head') == 1.0
    assert directives.loss_weight(None, 'rpn_head') == 1.0


def test_loss_weight_reads_the_head_it_is_asked_for():
    meta = {'rpn_head.loss_weight': 10, 'roi_head.loss_weight': 0.5}
    assert directives.loss_weight(meta, 'rpn_head') == 10.0
    assert directives.loss_weight(meta, 'roi_head') == 0.5


def test_loss_weight_own_key_goes_before_the_fallback():
    meta = {'roi_head.loss_weight': 2.0, 'bbox_head.loss_weight': 3.0}
    assert directives.loss_weight(meta, 'bbox_head', fallback='roi_head') == 3.0
    del meta['bbox_head.loss_weight']
    assert directives.loss_weight(meta, 'bbox_head', fallback='roi_head') == 2.0


@pytest.mark.parametrize('value', [-1, -0.001, math.nan, math.inf, '2', True, None, [1.0]])
def test_loss_weight_impossible_value_is_refused(value):
    with pytest.raises(ValueError, match=r'rpn_head\.loss_weight: expected a finite number >= 0'):
        directives.loss_weight({'rpn_head.loss_weight': value}, 'rpn_head')


@pytest.mark.parametrize(
    'value, expected',
    [(1, True), (True, True), (1.0, True), (0, False), (False, False), (None, False), ('1', False), (2, False)],
)
def test_ignores_negatives_is_on_where_the_value_equals_one(value, expected):
    assert directives.ignores_negatives({'ignore_negatives': value}) is expected


def test_ignores_negatives_absent_is_off():
    assert directives.ignores_negatives({}) is False
    assert directives.ignores_negatives(None) is False


def test_scale_weights_multiplies_both():
    labels, boxes = directives.scale_weights(torch.ones(2), torch.ones(2, 4), 0.5)
    assert labels.tolist() == [0.5, 0.5]
    assert boxes.sum() == 4


def test_scale_weights_one_gives_the_same_objects():
    labels, boxes = torch.ones(2), torch.ones(2, 4)
    same_labels, same_boxes = directives.scale_weights(labels, boxes, 1)
    assert same_labels is labels
    assert same_boxes is boxes


@pytest.mark.parametrize(
    'key, value',
    [
        ('ignore_negatives', 'yes'),
        ('ignore_negatives', 2),
        ('roi_head.loss_weight', math.nan),
        ('bbox_head.loss_weight', -2),
    ],
)
def test_check_directive_impossible_value_names_the_key(key, value):
    with pytest.raises(ValueError, match=key.replace('.', r'\.')):
        directives.check_directive(key, value)


@pytest.mark.parametrize(
    'key, near',
    [
        ('rpn_head.loss_weigth', 'rpn_head.loss_weight'),
        ('ignore_negative', 'ignore_negatives'),
        ('keypoints_head.loss_weight', 'keypoint_head.loss_weight'),
        ('Ignore_Negatives', 'ignore_negatives'),
        ('rcnn_head.loss_weight', 'rpn_head.loss_weight'),
        ('point_head.loss_weight', 'roi_head.loss_weight'),  # mask_head.loss_weight is that of all mask losses
    ],
)
def test_check_directive_near_miss_names_the_directive(key, near):
    with pytest.raises(ValueError, match=f"did you mean .*'{near}'"):
        directives.check_directive(key, 1)


@pytest.mark.parametrize(
    'key, value',
    [
        ('rpn_head.loss_weight', 0),
        ('keypoint_head.loss_weight', 2.5),
        ('ignore_negatives', None),
        ('source', 'camera 7'),
    ],
)
def test_check_directive_accepts_directives_and_other_fields(key, value):
    directives.check_directive(key, value)


def test_read_directives_lists_what_is_set():
    found = directives.read_directives({'rpn_head.loss_weight': 0, 'ignore_negatives': 1, 'other': 'x'})
    assert found.loss_weights == {'rpn_head': 0.0}
    assert found.ignore_negatives is True


def test_every_kind_of_directive_is_listed_and_described():
    meta = {
        'rpn_head.loss_weight': 1, 'mask_head.loss_weight': 2, 'ignore_negatives': 0, 'roi_head.negative_weight': 0.5,
        'negatives': 'all', 'rpn_head.negatives': dict(type='soft', weight=0.1), 'labeled_classes': [0, 2],
    }  # fmt: skip
    assert directives.describe(directives.read_directives(meta)) == (
        'rpn_head 1, mask_head 2, roi_head.negative_weight 0.5, negatives all, rpn_head.negatives soft, '
        '2 labeled_classes'
    )
    assert directives.effective_keys(meta) == [
        'mask_head.loss_weight', 'roi_head.negative_weight', 'rpn_head.negatives', 'labeled_classes',
    ]  # fmt: skip
    assert directives.describe(directives.read_directives({})) == '-'


@pytest.mark.parametrize(
    ('key', 'value', 'text'),
    [
        ('negatives', 'sfot', "did you mean 'soft'"),
        ('negatives', None, 'expected one of all, none, soft'),
        ('roi_head.negatives', dict(weight=1), 'whose type is one of them'),
        ('negatives', dict(type='soft', weigth=1), "did you mean 'weight'"),
        ('negatives', dict(type='soft', score_thr=0.5), "'soft' has no setting 'score_thr'"),
        ('negatives', dict(type='soft', weight=1.5), 'impossible weight: 1.5'),
        ('negatives', dict(type='overlap', rate=0), 'impossible rate: 0'),
        ('negatives', dict(type='recalibrate', score_thr=1.0), 'impossible score_thr: 1.0'),
        ('negatives', dict(type='recalibrate', warmup=1.5), 'impossible warmup: 1.5'),
        ('rpn_head.negative_weight', 1.1, r'rpn_head.negative_weight: expected a number in \[0, 1\], got 1.1'),
        ('rpn_head.negative_weight', True, 'got True'),
        ('mask_head.negative_weight', 0.5, 'looks like a training directive but is none'),
        ('rpn_head.negativs', 'all', "did you mean 'rpn_head.negatives'"),
        ('labeled_classes', 'cat', "expected a list of class names or of numbers >= 0, got 'cat'"),
        ('unlabeled_classes', [-1], r'got \[-1\]'),
        ('labelled_classes', ['cat'], "did you mean 'labeled_classes'"),
    ],
)
def test_impossible_values_and_names_are_explained(key, value, text):
    with pytest.raises(ValueError, match=text):
        directives.check_directive(key, value)


@pytest.mark.parametrize('field', ['classes', 'img_classes', 'sampling_negatives', 'weight'])
def test_fields_of_the_user_that_are_further_off_pass(field):
    directives.check_directive(field, object())


@pytest.mark.parametrize(
    ('meta', 'want'),
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
    ],
)
def test_factor_of_negatives_is_that_of_the_first_head_named(meta, want):
    assert directives.negative_factors(meta, ('bbox_head', 'roi_head'), overlaps=None) == want


def test_overlap_weights_follow_the_gompertz_curve():
    overlaps = torch.tensor([0.0, 0.1, 0.2, 0.4])
    got = directives.negative_factors(
        {'negatives': 'overlap', 'rpn_head.negative_weight': 0.5}, ('rpn_head',), lambda: overlaps
    )
    want = [0.25 + 0.75 * math.exp(-50 * math.exp(-20 * o)) for o in overlaps.tolist()]
    torch.testing.assert_close(got, 0.5 * torch.tensor(want))
    assert want[0] == pytest.approx(0.25) and want[-1] == pytest.approx(0.9875, abs=1e-3)
    bare = {'negatives': dict(type='overlap', floor=0, steepness=1, rate=1)}
    got = directives.negative_factors(bare, (), lambda: torch.zeros(1))
    assert got.item() == pytest.approx(math.exp(-1))


def test_policy_none_is_that_of_the_samplers_too():
    assert directives.ignores_negatives({'negatives': 'none'}) is True
    assert directives.ignores_negatives({'negatives': dict(type='soft', weight=0)}) is False
    assert directives.ignores_negatives({'rpn_head.negatives': 'none'}) is False  # a sampler does not know its head


def test_scores_are_believed_after_the_warm_up():
    metas = [{}, {'negatives': dict(type='recalibrate', score_thr=0.7, warmup=10)}]
    assert directives.score_thresholds(metas, ('rpn_head',), 9) is None
    assert directives.score_thresholds(metas, ('rpn_head',), 10) == [math.inf, 0.7]
    assert directives.score_thresholds([{}], (), None) is None
    at_once = {'roi_head.negatives': dict(type='recalibrate', warmup=0)}
    assert directives.score_thresholds([at_once], ('roi_head',), None) == [0.5]
    with pytest.raises(RuntimeError, match='nobody told the head the iteration'):
        directives.score_thresholds(metas, (), None)


def test_unlabelled_classes_are_the_named_or_the_others():
    assert directives.unlabelled_classes({'labeled_classes': [2, 0]}, 4) == [1, 3]
    assert directives.unlabelled_classes({'unlabeled_classes': [3, 1, 3]}, 4) == [1, 3]
    assert directives.unlabelled_classes({'labeled_classes': []}, 2) == [0, 1]
    assert directives.unlabelled_classes({}, 2) == []
    with pytest.raises(ValueError, match="'cat' is a name that no data set has turned into a label"):
        directives.unlabelled_classes({'labeled_classes': ['cat']}, 2)
    with pytest.raises(ValueError, match='label 2 is out of range: the head has 2 classes'):
        directives.unlabelled_classes({'labeled_classes': [2]}, 2)
    with pytest.raises(ValueError, match='has both labeled_classes and unlabeled_classes'):
        directives.unlabelled_classes({'labeled_classes': [], 'unlabeled_classes': []}, 2)


def test_mask_of_unlabelled_classes_is_there_only_where_it_is_needed():
    assert directives.unlabelled_mask([{}, {'unlabeled_classes': []}], 2, torch.device('cpu')) is None
    mask = directives.unlabelled_mask([{}, {'unlabeled_classes': [1]}], 2, torch.device('cpu'))
    assert mask.tolist() == [[False, False], [False, True]]


def believed(logits, labels, metas, images, softmax, **kwargs):
    args = dict(heads=('bbox_head',), num_classes=2, softmax=softmax) | kwargs
    return directives.believable_negatives(logits, labels, torch.ones(len(labels)), images, metas, **args)


def test_background_of_a_softmax_becomes_background_or_any_unlabelled_class():
    logits = torch.tensor([[1.0, 2.0, 0.5], [1.0, 2.0, 0.5], [0.0, 1.0, 0.0]], requires_grad=True)
    labels, images = torch.tensor([2, 0, 2]), torch.tensor([1, 1, 0])
    got, weights = believed(logits, labels, [{}, {'unlabeled_classes': [1]}], images, softmax=True)
    losses = torch.nn.functional.cross_entropy(got, labels, reduction='none')
    p = logits.detach().softmax(1)
    want = -torch.stack([p[0, 1] + p[0, 2], p[1, 0], p[2, 2]]).log()
    torch.testing.assert_close(losses.detach(), want)
    losses[0].backward()
    # d/dz of -log(p1 + p2): p minus the share within the allowed
    share = torch.tensor([0, p[0, 1], p[0, 2]]) / (p[0, 1] + p[0, 2])
    torch.testing.assert_close(logits.grad[0], p[0] - share)
    assert weights.tolist() == [1, 1, 1] and not logits.grad[1:].any()


def test_image_without_any_labelled_class_teaches_its_negatives_nothing():
    for softmax, num in ((True, 3), (False, 2)):
        logits = torch.randn(2, num, requires_grad=True)
        labels = torch.tensor([2, 2])
        got, _ = believed(logits, labels, [{'labeled_classes': []}], torch.tensor([0, 0]), softmax)
        if softmax:
            loss = torch.nn.functional.cross_entropy(got, labels)
        else:
            loss = torch.nn.functional.binary_cross_entropy_with_logits(got, torch.zeros(2, 2))
        loss.backward()
        assert loss.item() == pytest.approx(0, abs=1e-6) and logits.grad.abs().max() < 1e-6


def test_unlabelled_classes_have_no_part_in_the_sigmoids_of_negatives():
    logits = torch.tensor([[1.0, 2.0], [1.0, 2.0]], requires_grad=True)
    labels = torch.tensor([2, 0])
    got, _ = believed(logits, labels, [{'unlabeled_classes': [1]}], torch.tensor([0, 0]), softmax=False)
    target = torch.tensor([[0.0, 0], [1, 0]])
    losses = torch.nn.functional.binary_cross_entropy_with_logits(got, target, reduction='none')
    losses.sum().backward()
    assert losses[0, 1] == 0 == logits.grad[0, 1]
    assert losses[0, 0] > 0 and losses[1, 1] > 0 and logits.grad[1, 1] > 0


def test_negatives_that_score_as_objects_have_no_weight():
    logits = torch.tensor([[3.0, 0.0, 0.0], [0.0, 0.0, 3.0], [3.0, 0.0, 0.0], [3.0, 0.0, 0.0]])
    labels, images = torch.tensor([2, 2, 0, 2]), torch.tensor([0, 0, 0, 1])
    metas = [{'negatives': dict(type='recalibrate', score_thr=0.6, warmup=5)}, {}]
    same, weights = believed(logits, labels, metas, images, softmax=True, iteration=5)
    assert same is logits and weights.tolist() == [0, 1, 1, 1]
    assert believed(logits, labels, metas, images, softmax=True, iteration=4)[1].tolist() == [1, 1, 1, 1]


def test_nothing_changes_without_directives_nor_where_classes_have_no_meaning():
    logits, labels, images = torch.zeros(1, 3), torch.tensor([2]), torch.tensor([0])
    for metas in (None, [{}], [{'unlabeled_classes': []}]):
        assert believed(logits, labels, metas, images, True)[0] is logits
    metas = [{'labeled_classes': []}]
    assert believed(logits, labels, metas, images, True, class_wise=False)[0] is logits
    with pytest.raises(ValueError, match='3 in all; this loss has 4'):
        believed(torch.zeros(1, 4), labels, metas, images, True)


def test_names_of_classes_become_labels():
    names = ('cat', 'dog', 'cow')
    assert directives.resolve_classes('labeled_classes', ['cow', 0], names) == [2, 0]
    with pytest.raises(ValueError, match="no class 'dgo'; did you mean 'dog'"):
        directives.resolve_classes('labeled_classes', ['dgo'], names)
    with pytest.raises(ValueError, match='label 3 is out of range'):
        directives.resolve_classes('labeled_classes', [3], names)
    in_file = {7: 1, 9: 2}.get  # category ids; 8 is of no class
    assert directives.resolve_file_classes('labeled_classes', [9, 8, 'cat', 'tree'], names, in_file) == [2, 0]
    assert directives.resolve_file_classes('labeled_classes', [1], names, None) == [1]
