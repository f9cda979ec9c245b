"""Corners of objects."""

import torch

from mmdet.models.dense_heads.functional.corners.corners import far_centres, far_tags, targets_of_kinds

BOXES, LABELS = [torch.tensor([[4.0, 8, 20, 28]])], [torch.tensor([1])]


def test_targets_hold_the_kinds_that_are_asked_for_and_cells_of_tags():
    plain = targets_of_kinds(BOXES, LABELS, (1, 2, 8, 8), (32, 32), ['heatmap'], with_tags=False)
    assert sorted(plain) == ['bottomright_heatmap', 'topleft_heatmap']
    assert plain['topleft_heatmap'][0, 1, 2, 1] == 1 and plain['bottomright_heatmap'][0, 1, 7, 5] == 1
    tagged = targets_of_kinds(BOXES, LABELS, (1, 2, 8, 8), (32, 32), ['offset'], with_tags=True)
    assert tagged['corner_embedding'][0].tolist() == [[[2, 1], [7, 5]]]  # row and column of both corners


def test_pairs_are_rejected_by_tags_or_by_centres():
    assert far_tags(torch.tensor([[0.0, 1.0]]), torch.tensor([[0.4, 5.0]]), 0.5).tolist() == [
        [[False, True], [True, True]]
    ]
    boxes = torch.tensor([[0.0, 0, 24, 24]]).expand(3, 4)
    middle, apart, outside = [11.0, 11, 13, 13], [8.0, 8, 16, 16], [1.0, 1, 12, 12]
    assert far_centres(boxes, torch.tensor([middle, apart, outside]), 0.5).tolist() == [False, True, True]
