"""Samples in static shapes."""

import pytest
import torch

from mmdet.core.bbox.samplers import static_shapes
from mmdet.core.bbox.samplers.random_sampler import RandomSampler


def assigned(num_pos, num_neg, num_ignored, images=2):
    """(images, n) shuffled numbers of objects."""
    one = torch.cat([torch.arange(num_pos) + 1, torch.zeros(num_neg), torch.full((num_ignored,), -1)]).long()
    return torch.stack([one[torch.randperm(len(one))] for _ in range(images)])


@pytest.mark.parametrize(
    'counts, bound, expected',
    [
        ((10, 90, 5), -1, (8, 24)),  # a quarter of 32 are positives, negatives fill up
        ((3, 90, 5), -1, (3, 29)),
        ((3, 90, 0), 2, (3, 6)),
        ((0, 90, 0), 2, (0, 2)),  # at least one positive is counted
        ((10, 4, 5), -1, (8, 4)),
        ((0, 0, 7), -1, (0, 0)),
        ((2, 3, 0), -1, (2, 3)),  # fewer boxes than the sampler takes
    ],
)
def test_as_many_as_the_sampler_takes(counts, bound, expected):
    gt_inds = assigned(*counts)
    sample = static_shapes.draw_sample(gt_inds, RandomSampler(32, 0.25, bound))
    assert sample.rows.shape == (2, min(32, sum(counts)))
    for rows, positive, valid, inds in zip(*sample, gt_inds):
        assert (int(positive.sum()), int((valid & ~positive).sum())) == expected
        taken = rows[valid]
        assert len(taken.unique()) == len(taken)
        assert torch.equal(inds[rows] > 0, positive) or not valid.all()
        assert (inds[rows[positive]] > 0).all() and (inds[rows[valid & ~positive]] == 0).all()
        order = positive.int() + valid.int()
        assert (order[1:] <= order[:-1]).all()  # positives, negatives, the rest


def test_every_box_is_drawn_as_often():
    gt_inds = assigned(8, 24, 4, images=1).expand(4000, -1)
    sample = static_shapes.draw_sample(gt_inds, RandomSampler(8, 0.25))
    drawn = torch.zeros(gt_inds.size(1)).index_add_(0, sample.rows[sample.valid], torch.ones(32000)) / 4000
    assert drawn[gt_inds[0] < 0].eq(0).all()
    torch.testing.assert_close(drawn[gt_inds[0] > 0], torch.full((8,), 2 / 8), atol=0.03, rtol=0)
    torch.testing.assert_close(drawn[gt_inds[0] == 0], torch.full((24,), 6 / 24), atol=0.03, rtol=0)


class Head:
    """What matching asks of a head."""

    reg_decoded_bbox = True
    num_classes = 5


SAMPLE = static_shapes.MaskSample(
    torch.tensor([[3, 0, 3]]), torch.tensor([[True, False, False]]), torch.tensor([[True, True, False]])
)


def test_targets_of_a_sample_are_put_back_among_all_boxes():
    gt_inds = torch.tensor([[0, -1, -1, 2]])
    objects, labels = [torch.tensor([[1.0] * 4, [7.0] * 4])], [torch.tensor([4, 2])]
    targets = static_shapes.matched_targets(SAMPLE, gt_inds, torch.zeros(1, 4, 4), objects, labels, Head(), 3)
    assert targets.labels.tolist() == [[2, 5, 5]] and targets.label_weights.tolist() == [[3, 1, 0]]
    labels, label_weights, bbox_targets, bbox_weights = static_shapes.unmap_sample(SAMPLE, targets, 4, background=5)
    assert labels.tolist() == [[5, 5, 5, 2]]
    assert label_weights.tolist() == [[1, 0, 0, 3]]
    assert bbox_targets[0, :, 0].tolist() == bbox_weights.mul(7)[0, :, 0].tolist() == [0, 0, 0, 7]


def test_objects_without_labels_are_of_class_zero_and_images_without_objects_have_no_positives():
    gt_inds = torch.tensor([[1, 0, -1], [0, 0, -1]])
    sample = static_shapes.take_all(gt_inds)
    objects = [torch.ones(1, 4), torch.zeros(0, 4)]
    targets = static_shapes.matched_targets(sample, gt_inds, torch.zeros(2, 3, 4), objects, None, Head(), -1)
    assert targets.labels.tolist() == [[0, 5, 5], [5, 5, 5]]
    assert targets.label_weights.tolist() == [[1, 1, 0], [1, 1, 0]]


def test_rows_are_padded_even_where_there_is_none():
    assert static_shapes.pad_rows([torch.zeros(0, 4)] * 2).shape == (2, 1, 4)
    assert static_shapes.pad_rows([torch.tensor([1, 2]), torch.tensor([3])], -1).tolist() == [[1, 2], [3, -1]]
