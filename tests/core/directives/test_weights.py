"""Loss weights of images: which key counts, and refusals."""

import math

import pytest

from mmdet.core.directives import loss_weight


def test_loss_weight_absent_is_one():
    assert loss_weight({}, ['rpn_head']) == 1.0
    assert loss_weight(None, ['rpn_head']) == 1.0


def test_loss_weight_reads_the_head_it_is_asked_for():
    meta = {'rpn_head.loss_weight': 10, 'roi_head.loss_weight': 0.5}
    assert loss_weight(meta, ['rpn_head']) == 10.0
    assert loss_weight(meta, ['roi_head']) == 0.5


def test_loss_weight_own_key_goes_before_the_fallback():
    meta = {'roi_head.loss_weight': 2.0, 'bbox_head.loss_weight': 3.0}
    assert loss_weight(meta, ['bbox_head', 'roi_head']) == 3.0
    del meta['bbox_head.loss_weight']
    assert loss_weight(meta, ['bbox_head', 'roi_head']) == 2.0


@pytest.mark.parametrize('value', [-1, -0.001, math.nan, math.inf, '2', True, None, [1.0]])
def test_loss_weight_impossible_value_is_refused(value):
    with pytest.raises(ValueError, match=r'rpn_head\.loss_weight: expected a finite number >= 0'):
        loss_weight({'rpn_head.loss_weight': value}, ['rpn_head'])
