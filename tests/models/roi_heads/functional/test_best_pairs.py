"""Detections of heads whose proposals need no suppression."""

import torch

from mmdet.models.roi_heads.functional.best_pairs import best_pairs


def test_best_pairs_of_a_proposal_and_a_class_in_each_image():
    scores = torch.tensor([[[0.1, 0.9], [0.8, 0.2]], [[0.3, 0.4], [0.5, 0.6]]])
    best, rows, labels = best_pairs(scores, 3)
    torch.testing.assert_close(best, torch.tensor([[0.9, 0.8, 0.2], [0.6, 0.5, 0.4]]))
    assert rows.tolist() == [[0, 1, 1], [1, 1, 0]] and labels.tolist() == [[1, 0, 1], [1, 0, 1]]
    assert best_pairs(scores, 9)[0].shape == (2, 4)
