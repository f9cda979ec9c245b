"""Positives among the candidates of objects."""

import torch

from mmdet.models.dense_heads.functional.assignment.candidates import chosen_candidates, lowest_of_each_level


def test_lowest_losses_of_each_object_and_level():
    losses, gts = torch.tensor([3.0, 1, 2, 5, 4, 6]), torch.tensor([0, 0, 0, 1, 1, 0])
    values, places = lowest_of_each_level(losses, gts, [3, 3], 2, topk=2)
    assert values.tolist() == [[1, 2, 6, torch.inf], [4, 5, torch.inf, torch.inf]]
    assert places[0, :3].tolist() == [1, 2, 5] and places[1, :2].tolist() == [4, 3]


def test_candidates_up_to_the_likeliest_of_the_better_gaussian_are_chosen():
    # of either object three losses around a middle one and one far off: the likeliest is the middle one
    losses, gts = torch.tensor([0.1, 0.2, 0.3, 5, 7, 0.6, 0.5, 0.4]), torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    chosen = chosen_candidates(losses, gts, [4, 4], 2, topk=9, covariance_type='diag')
    assert chosen.tolist() == [True, True, False, False, False, False, True, True]


def test_candidates_beyond_topk_of_a_level_are_not_chosen():
    losses, gts = torch.tensor([0.1, 0.05, 0.12, 5.0]), torch.zeros(4, dtype=torch.long)
    assert not chosen_candidates(losses, gts, [2, 2], 2, topk=1, covariance_type='diag')[[0, 3]].any()
