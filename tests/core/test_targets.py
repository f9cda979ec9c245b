"""The one writer of targets: hand-computed rows, and that both forms of a sample give the same."""

from types import SimpleNamespace

import pytest
import torch

from mmdet.core.targets import (
    masked_targets,
    matched_objects,
    objects_of_boxes,
    objects_of_sample,
    sampled_targets,
    scatter_rows,
    targets_of_sample,
)

POSITIVES, NEGATIVES = torch.tensor([4, 1]), torch.tensor([0, 3])
LABELS = torch.tensor([2, 0])
BOXES = torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8]])
K = 3


def test_targets_of_six_rows_by_hand():
    labels, label_weights, bbox_targets, bbox_weights = sampled_targets(6, POSITIVES, NEGATIVES, LABELS, BOXES, K, -1)
    assert labels.tolist() == [3, 0, 3, 3, 2, 3] and labels.dtype == torch.long
    assert label_weights.tolist() == [1, 1, 0, 1, 1, 0]
    zero = [0.0] * 4
    assert bbox_targets.tolist() == [zero, [5, 6, 7, 8], zero, zero, [1, 2, 3, 4], zero]
    assert bbox_weights.tolist() == [zero, [1.0] * 4, zero, zero, [1.0] * 4, zero]


@pytest.mark.parametrize(('pos_weight', 'want'), [(2.5, 2.5), (0, 1), (-1, 1), (0.25, 0.25)])
def test_positives_have_a_label_weight_of_their_own(pos_weight, want):
    weights = sampled_targets(5, POSITIVES, NEGATIVES, LABELS, BOXES, K, pos_weight).label_weights
    assert weights.tolist() == [1, want, 0, 1, want]


def test_one_label_for_all_and_weights_of_box_sides():
    sides = torch.tensor([[1.0, 0, 1, 0], [0, 2, 0, 2]])
    targets = sampled_targets(5, POSITIVES, NEGATIVES, 0, BOXES, K, -1, sides)
    assert targets.labels.tolist() == [3, 0, 3, 3, 0]
    assert targets.bbox_weights[POSITIVES].equal(sides) and not targets.bbox_weights[NEGATIVES].any()


@pytest.mark.parametrize('width', [4, 5, 14])
def test_box_targets_have_as_many_numbers_as_they_come_with(width):
    targets = sampled_targets(5, POSITIVES, NEGATIVES, LABELS, torch.ones(2, width), K, -1)
    assert targets.bbox_targets.shape == targets.bbox_weights.shape == (5, width)


def test_targets_of_a_sampling_result_stand_in_the_rows_of_its_boxes():
    rows = torch.tensor([5, 4, 3, 2, 0])  # of the five boxes that could be sampled
    sampled = SimpleNamespace(
        pos_inds=torch.tensor([1, 4]), neg_inds=torch.tensor([2]), pos_assigned_gt_inds=torch.tensor([1, 0])
    )
    targets = targets_of_sample(6, rows, sampled, LABELS, BOXES, K, 2.5, BOXES)
    assert targets.labels.tolist() == [2, 3, 3, 3, 0, 3]
    assert targets.label_weights.tolist() == [2.5, 0, 0, 1, 2.5, 0]
    assert targets.bbox_targets[[4, 0]].equal(BOXES) and targets.bbox_weights.equal(targets.bbox_targets)
    without_labels = targets_of_sample(6, rows, sampled, None, BOXES, K, -1)
    assert without_labels.labels.tolist() == [0, 3, 3, 3, 0, 3]
    assert without_labels.bbox_weights[[4, 0]].eq(1).all()


def test_without_sampled_rows_everything_is_background_without_weight():
    none = torch.zeros(0, dtype=torch.long)
    targets = sampled_targets(3, none, none, none, torch.zeros(0, 4), K, 2)
    assert targets.labels.tolist() == [K] * 3 and not torch.cat([part.flatten() for part in targets[1:]]).any()


def test_masks_and_lists_give_the_same_whatever_stands_in_the_other_rows():
    positive, sampled = torch.zeros(2, 6, dtype=torch.bool)
    positive[POSITIVES] = True
    sampled[torch.cat([POSITIVES, NEGATIVES])] = True
    labels, boxes = torch.full((6,), 77), torch.full((6, 4), torch.inf)
    labels[POSITIVES], boxes[POSITIVES] = LABELS, BOXES
    sides = torch.rand(6, 4)
    by_masks = masked_targets(positive, sampled, labels, boxes, K, 2.0, sides)
    by_lists = sampled_targets(6, POSITIVES, NEGATIVES, LABELS, BOXES, K, 2.0, sides[POSITIVES])
    assert all(a.equal(b) for a, b in zip(by_masks, by_lists, strict=True))


def test_masks_of_a_batch_are_those_of_its_images():
    torch.manual_seed(0)
    sampled = torch.rand(3, 7) < 0.7
    positive = sampled & (torch.rand(3, 7) < 0.5)
    labels, boxes = torch.randint(0, K, (3, 7)), torch.rand(3, 7, 4)
    batch = masked_targets(positive, sampled, labels, boxes, K, -1)
    for i in range(3):
        image = masked_targets(positive[i], sampled[i], labels[i], boxes[i], K, -1)
        assert all(part[i].equal(one) for part, one in zip(batch, image))


def test_scattered_rows():
    assert scatter_rows(torch.tensor([7.0, 8.0]), 4, torch.tensor([2, 0]), fill=-1).tolist() == [8, -1, 7, -1]
    values = torch.tensor([1.0], requires_grad=True)
    scatter_rows(values, 2, torch.tensor([1])).sum().backward()
    assert values.grad.item() == 1


def test_objects_of_rows_by_hand():
    """Positives may be sampled in any order; rows stand in their own."""
    first = SimpleNamespace(
        pos_inds=torch.tensor([4, 1]), neg_inds=torch.tensor([0]), pos_assigned_gt_inds=torch.tensor([2, 0])
    )
    second = SimpleNamespace(
        pos_inds=torch.tensor([3]), neg_inds=torch.tensor([1, 2]), pos_assigned_gt_inds=torch.tensor([1])
    )
    labels = torch.tensor([[K, 1, K, K, 0], [K, K, K, 2, K]])
    assert matched_objects(labels, K, [first, second]).tolist() == [[0, 0, 0, 0, 2], [0, 0, 0, 1, 0]]
    assert objects_of_sample(first).tolist() == [2, 0, 0]
    gts = torch.tensor([[0.0, 0, 4, 4], [2, 2, 6, 6], [2, 2, 6, 6]])
    boxes = torch.tensor([[[2.0, 2, 6, 6], [0, 0, 4, 4.01]]])
    found = objects_of_boxes(boxes, torch.tensor([[5, 0]]), [gts], [torch.tensor([0, 1, 5])])
    assert found.tolist() == [[2, 0]]
    assert objects_of_boxes(boxes, torch.tensor([[5, 0]]), [gts], None).tolist() == [[1, 0]]
    assert objects_of_boxes(boxes, torch.tensor([[5, 0]]), [gts[:0]], None).tolist() == [[0, 0]]
    # an object of the row's own class goes before a nearer one of another class
    gts, classes = torch.tensor([[90.0, 90, 99, 99], [2, 2, 6, 6]]), torch.tensor([3, 4])
    assert objects_of_boxes(boxes[:, :1], torch.tensor([[3]]), [gts], [classes]).tolist() == [[0]]
