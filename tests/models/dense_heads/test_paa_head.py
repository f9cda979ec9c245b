import math

import torch

from mmdet.models.dense_heads.paa_head import levels_to_images, lowest_of_each_level, vote


def test_lowest_losses_of_each_object_and_level():
    losses, gts = torch.tensor([3.0, 1, 2, 5, 4, 6]), torch.tensor([0, 0, 0, 1, 1, 0])
    values, places = lowest_of_each_level(losses, gts, [3, 3], 2, topk=2)
    assert values.tolist() == [[1, 2, 6, torch.inf], [4, 5, torch.inf, torch.inf]]
    assert places[0, :3].tolist() == [1, 2, 5] and places[1, :2].tolist() == [4, 3]


def test_levels_to_images_keeps_the_order_of_cells():
    maps = [torch.arange(8.0).view(2, 2, 1, 2), torch.full((2, 2, 1, 1), 9.0)]
    assert [image.tolist() for image in levels_to_images(maps)] == [[[0, 2], [1, 3], [9, 9]], [[4, 6], [5, 7], [9, 9]]]


def test_votes_are_means_weighted_by_overlap_and_score():
    dets = torch.tensor([[0.0, 0, 10, 10, 0.9]])
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [50, 50, 60, 60], [0, 0, 10, 10]])
    scores = torch.tensor([[0.9, 0.0], [0.5, 0.0], [0.8, 0.0], [0.0, 0.7]])  # the last one is of another class
    weights = torch.tensor([0.9, math.exp(-(0.5**2) / 0.025) * 0.5])
    bottom = (weights * torch.tensor([10.0, 5])).sum() / weights.sum()
    voted = vote(dets, torch.tensor([0]), boxes, scores, 0.1)
    torch.testing.assert_close(voted, torch.tensor([[0.0, 0, 10, bottom, 0.9]]))
