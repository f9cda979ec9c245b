"""Directives of images that are merged into one."""

import pytest

from mmdet.core.directives import (
    BBOX_HEAD,
    IGNORE_NEGATIVES,
    ROI_HEAD,
    RPN_HEAD,
    loss_weight,
    loss_weight_key,
)
from mmdet.core.directives.merging import check_directives, mean_weight, merge_directives

RPN, ROI, BBOX = (loss_weight_key(head) for head in (RPN_HEAD, ROI_HEAD, BBOX_HEAD))


def test_equal_weights_stay_exactly():
    assert mean_weight([0.1, 0.1, 0.1], [3, 7, 11]) == 0.1
    assert merge_directives([{RPN: 0.3}, {RPN: 0.3}], [1, 2]) == {RPN: 0.3}


def test_weights_count_by_their_area_and_absent_means_one():
    assert merge_directives([{RPN: 4.0, ROI: 0.0}, {RPN: 0.5}], [1, 3]) == {RPN: 1.375, ROI: 0.75}
    assert merge_directives([{}, {}], [1, 1]) == {}


def test_the_mean_is_linear_in_every_weight():
    def merged(weight):
        return merge_directives([{RPN: weight}, {RPN: 2.0}, {}], [5, 2, 3])[RPN]

    assert merged(3.0) - merged(1.0) == pytest.approx(2 * (merged(2.0) - merged(1.0))) == pytest.approx(1.0)


def test_order_of_the_parts_does_not_matter():
    parts, areas = [{RPN: 0.2}, {IGNORE_NEGATIVES: True}, {ROI: 7}], [2.0, 3.0, 5.0]
    assert merge_directives(parts, areas) == pytest.approx(merge_directives(parts[::-1], areas[::-1]))


@pytest.mark.parametrize(
    ('values', 'want'), [([1, 0, 0], 1), ([0, 0, True], 1), ([0, None, False], 0), ([None, None, 1.0], 1)]
)
def test_one_part_that_ignores_negatives_is_enough(values, want):
    assert merge_directives([{IGNORE_NEGATIVES: value} for value in values], [1, 1, 1]) == {IGNORE_NEGATIVES: want}


def test_a_part_of_which_nothing_is_seen_has_no_say():
    assert merge_directives([{RPN: 2.0}, {IGNORE_NEGATIVES: 1, RPN: 9.0}], [4, 0]) == {RPN: 2.0}


def test_box_head_takes_the_roi_weight_where_it_has_none():
    parts = [{BBOX: 2.0}, {ROI: 4.0}]
    merged = merge_directives(parts, [1, 1])
    assert merged == {BBOX: 3.0, ROI: 2.5}
    assert loss_weight(merged, (BBOX_HEAD, ROI_HEAD)) == sum(loss_weight(p, (BBOX_HEAD, ROI_HEAD)) for p in parts) / 2


def test_a_field_without_a_rule_must_agree():
    assert merge_directives([{'new': 3}, {'new': 3}], [1, 1]) == {'new': 3}
    with pytest.raises(ValueError, match=r'new: images with the values \[3, None\] cannot be merged'):
        merge_directives([{'new': 3}, {}], [1, 1])


@pytest.mark.parametrize('areas', [[1], [1, -1], [0, 0], [1, float('nan')], [1, float('inf')]])
def test_impossible_areas_are_an_error(areas):
    with pytest.raises(ValueError, match='an area >= 0 for each of 2 parts'):
        merge_directives([{}, {}], areas)


def test_unknown_and_impossible_directives_are_named():
    with pytest.raises(ValueError, match='is none; did you mean'):
        check_directives({RPN.replace('weight', 'weigth'): 1})
    with pytest.raises(ValueError, match='expected a finite number >= 0'):
        merge_directives([{RPN: -1}, {}], [1, 1])
    with pytest.raises(TypeError, match='expected a dict'):
        check_directives([RPN])


def test_negatives_count_as_little_as_in_any_part():
    merged = merge_directives([{'rpn_head.negative_weight': 0.5}, {}, {'rpn_head.negative_weight': 0.2}], [1, 1, 1])
    assert merged == {'rpn_head.negative_weight': 0.2}


def test_classes_are_annotated_where_every_part_annotates_them():
    assert merge_directives([{'labeled_classes': [0, 1, 2]}, {'labeled_classes': [2, 1]}, {}], [1, 1, 1]) == {
        'labeled_classes': [1, 2]
    }
    assert merge_directives([{'unlabeled_classes': [3]}, {'unlabeled_classes': [1, 3]}], [1, 1]) == {
        'unlabeled_classes': [3, 1]
    }
    with pytest.raises(ValueError, match='labeled_classes'):
        merge_directives([{'unlabeled_classes': [3]}, {'labeled_classes': [1]}], [1, 1])
    with pytest.raises(ValueError, match='cannot be merged'):
        merge_directives([{'negatives': 'soft'}, {'negatives': 'none'}], [1, 1])
