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
        ('Ignore_Negatives', 'ignore_negatives'),
        ('rcnn_head.loss_weight', 'rpn_head.loss_weight'),
        ('point_head.loss_weight', 'roi_head.loss_weight'),  # mask_head.loss_weight is that of all mask losses
    ],
)
def test_check_directive_near_miss_names_the_directive(key, near):
    with pytest.raises(ValueError, match=f"did you mean .*'{near}'"):
        directives.check_directive(key, 1)


@pytest.mark.parametrize(
    'key, value', [('rpn_head.loss_weight', 0), ('ignore_negatives', None), ('source', 'camera 7')]
)
def test_check_directive_accepts_directives_and_other_fields(key, value):
    directives.check_directive(key, value)


def test_read_directives_lists_what_is_set():
    found = directives.read_directives({'rpn_head.loss_weight': 0, 'ignore_negatives': 1, 'other': 'x'})
    assert found.loss_weights == {'rpn_head': 0.0}
    assert found.ignore_negatives is True
