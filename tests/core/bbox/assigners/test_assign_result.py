"""The result of an assignment."""

import pytest
import torch

from mmdet.core.bbox.assigners import AssignResult, assign_result
from mmdet.core.bbox.assigners.assign_result import find_rows, labels_of, rows_of


def test_labels_of_boxes_without_ground_truth_are_minus_one():
    assert labels_of(torch.tensor([-1, 0, 2, 1]), torch.tensor([5, 8])).tolist() == [-1, -1, 8, 5]
    assert labels_of(torch.tensor([-1, 0]), torch.zeros(0, dtype=torch.long)).tolist() == [-1, -1]


@pytest.mark.parametrize('with_overlaps', [True, False])
def test_add_gt_puts_each_ground_truth_first(with_overlaps):
    overlaps = torch.tensor([0.2, 0.9]) if with_overlaps else None
    result = AssignResult(2, torch.tensor([0, 2]), overlaps, torch.tensor([-1, 8]))
    result.add_gt_(torch.tensor([5, 8]))
    assert result.gt_inds.tolist() == [1, 2, 0, 2]
    assert result.labels.tolist() == [5, 8, -1, 8]
    assert result.num_preds == 4
    assert result.max_overlaps.tolist() == pytest.approx([1, 1, 0.2, 0.9]) if with_overlaps else True


def test_extra_properties_join_the_fields():
    result = AssignResult(1, torch.tensor([1]), None)
    result.set_extra_property('shadow', 3)
    assert result.get_extra_property('shadow') == result.info['shadow'] == 3
    assert result.get_extra_property('other') is None
    with pytest.raises(ValueError, match="'labels' is a field of the result already"):
        result.set_extra_property('labels', 0)


@pytest.mark.parametrize('num_gts', [0, 3])
def test_random_result_is_consistent(num_gts):
    result = AssignResult.random(num_gts=num_gts, num_preds=200, rng=0)
    inds = result.gt_inds
    assert set(inds.tolist()) == (set(range(-1, num_gts + 1)) if num_gts else {0})
    assert torch.equal(result.labels >= 0, inds > 0)


@pytest.mark.parametrize('on_cpu', [True, False])
def test_rows_of_masks_are_ascending_and_may_be_none(on_cpu, monkeypatch):
    monkeypatch.setattr(assign_result, 'is_on_cpu', lambda tensor: on_cpu)
    masks = [torch.tensor(mask, dtype=torch.bool) for mask in ([0, 1, 1, 0, 1], [0, 0], [1, 1, 1], [])]
    assert [rows.tolist() for rows in rows_of(masks)] == [[1, 2, 4], [], [0, 1, 2], []]
    assert [rows.tolist() for rows in rows_of(masks[:2], [3, 0])] == [[1, 2, 4], []]
    assert rows_of([]) == []


def rows_in(result):
    return [rows.tolist() for rows in result.rows]


def test_rows_follow_the_assignment():
    result = AssignResult(2, torch.tensor([0, 2, -1, 0]), None, torch.tensor([-1, 8, -1, -1]))
    assert rows_in(result) == [[1], [0, 3]] and result.rows_known
    result.gt_inds[0] = 1
    assert not result.rows_known and rows_in(result) == [[0, 1], [3]]
    result.add_gt_(torch.tensor([5, 8]))
    assert result.rows_known and rows_in(result) == [[0, 1, 2, 3], [5]]
    result.gt_inds = torch.tensor([0, 1])
    assert not result.rows_known and rows_in(result) == [[1], [0]]


def test_rows_of_a_batch_are_found_together():
    results = [AssignResult(1, torch.tensor(inds), None) for inds in ([1, 0], [0, 0, -1], [1, 1, 1])]
    find_rows(results)
    assert all(result.rows_known for result in results)
    assert [rows_in(result) for result in results] == [[[0], [1]], [[], [0, 1]], [[0, 1, 2], []]]


def test_rows_are_found_in_inference_mode():
    with torch.inference_mode():
        assert rows_in(AssignResult(1, torch.tensor([1, 0]), None)) == [[0], [1]]
