"""Checking directives, and listing those of an image."""

import math

import pytest

from mmdet.core import directives


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
    found = directives.read_directives(
        {'rpn_head.loss_weight': 0, 'mask_head.loss_weight': 2, 'ignore_negatives': 1, 'other': 'x'}
    )
    assert found.loss_weights == {'rpn_head': 0.0, 'mask_head': 2.0}
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
    ('metas', 'line'),
    [
        ({'negatives': 'none'}, 'negatives none'),
        ({'rpn_head.negatives': dict(type='soft', weight=0.5)}, 'rpn_head.negatives soft'),
        ({'bbox_head.negative_weight': 0.25}, 'bbox_head.negative_weight 0.25'),
        ({'labeled_classes': [0, 'c']}, 'labeled_classes: a, c'),
        ({'unlabeled_classes': [1]}, 'unlabeled_classes: b'),
    ],
)
def test_describe_lines_name_every_kind_of_directive(metas, line):
    assert directives.describe_lines({**metas, 'ori_filename': 'a.jpg'}, ('a', 'b', 'c')) == [line]


def test_describe_lines_name_weights_and_ignored_negatives():
    metas = {'rpn_head.loss_weight': 0.5, 'roi_head.loss_weight': 2, 'ignore_negatives': 1}
    assert directives.describe_lines(metas) == ['rpn_head 0.5', 'roi_head 2', 'ignore_negatives']
    assert directives.describe_lines({}) == ['no directives: every head has weight 1']
    with pytest.raises(ValueError, match='>= 0'):
        directives.describe_lines({'rpn_head.loss_weight': -1})
