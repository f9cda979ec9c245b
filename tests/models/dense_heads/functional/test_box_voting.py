"""Box voting."""

import math

import torch

from mmdet.models.dense_heads.functional.box_voting import vote


def test_votes_are_means_weighted_by_overlap_and_score():
    dets = torch.tensor([[0.0, 0, 10, 10, 0.9]])
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [50, 50, 60, 60], [0, 0, 10, 10]])
    scores = torch.tensor([[0.9, 0.0], [0.5, 0.0], [0.8, 0.0], [0.0, 0.7]])  # the last one is of another class
    weights = torch.tensor([0.9, math.exp(-(0.5**2) / 0.025) * 0.5])
    bottom = (weights * torch.tensor([10.0, 5])).sum() / weights.sum()
    voted = vote(dets, torch.tensor([0]), boxes, scores, 0.1)
    torch.testing.assert_close(voted, torch.tensor([[0.0, 0, 10, bottom, 0.9]]))
    assert vote(dets[:0], torch.zeros(0, dtype=torch.long), boxes, scores, 0.1).shape == (0, 5)
