"""Arithmetic of queries that predict masks, by hand."""

import torch

from mmdet.models.dense_heads.functional.masks.query_masks import greatest_mask_overlaps, hidden_cells, resize_masks


def test_overlaps_are_those_of_whole_masks():
    preds = torch.full((3, 2, 4), -1.0)
    preds[0, :, :2] = 1.0  # the left half
    preds[1, 0] = 1.0  # the upper half
    gts = torch.zeros(2, 4, 8, dtype=torch.long)
    gts[0, :, :4] = 1  # the left half
    gts[1, :, 6:] = 1  # the right quarter
    assert greatest_mask_overlaps(preds, gts).tolist() == torch.tensor([1, 2 / 6, 0]).tolist()
    assert greatest_mask_overlaps(preds, gts[:0]).tolist() == [0, 0, 0]
    pixel = torch.tensor([[[1.0, -1]]])
    assert greatest_mask_overlaps(pixel, pixel > 0).tolist() == [1]


def test_masks_are_resized_in_their_type():
    masks = torch.tensor([[[0, 1], [1, 0]]])
    assert resize_masks(masks, (2, 4), 'nearest').tolist() == [[[0, 0, 1, 1], [1, 1, 0, 0]]]
    assert resize_masks(masks[:0], (3, 5), 'nearest').shape == (0, 3, 5)
    logits = torch.tensor([[[0.0, 4.0]]])
    assert resize_masks(logits, (1, 4), 'bilinear').tolist() == [[[0, 1, 3, 4]]]
    assert resize_masks(logits, (1, 2), 'bilinear') is logits


def test_hidden_cells_are_outside_of_masks_but_not_all():
    preds = torch.tensor([[[[0.0, -1.0]], [[-1.0, -2.0]]], [[[-1.0, 1.0]], [[3.0, 3.0]]]], requires_grad=True)
    hidden = hidden_cells(preds, (1, 2), num_heads=2)
    first, second = [[False, True], [False, False]], [[True, False], [False, False]]
    assert hidden.tolist() == [first, first, second, second]
    assert not hidden.requires_grad
