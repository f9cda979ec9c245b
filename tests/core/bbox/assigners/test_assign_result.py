"""The result of an assignment."""

import pytest
import torch

from mmdet.core.bbox.assigners import AssignResult
from mmdet.core.bbox.assigners.assign_result import labels_of


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
