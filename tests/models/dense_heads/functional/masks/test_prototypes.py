import math

import torch

from mmdet.models.dense_heads.functional.masks.prototypes import (
    crop_masks,
    mask_losses,
    masks_of_classes,
    resize_masks,
    sanitize_coordinates,
)


def test_masks_are_cropped_to_their_boxes_and_one_cell_around():
    masks = crop_masks(torch.ones(10, 10, 1), torch.tensor([[0.3, 0.5, 0.6, 0.2]]))
    rows, columns = masks[..., 0].nonzero(as_tuple=True)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (1, 5, 2, 6)
    low, high = sanitize_coordinates(torch.tensor([0.95]), torch.tensor([0.01]), 10, padding=1)
    assert (low.tolist(), high.tolist()) == ([0], [10])


def test_masks_of_classes_are_united():
    masks = torch.tensor([[[1.0, 0]], [[1, 1]], [[0, 1]]])
    assert masks_of_classes(masks, torch.tensor([2, 2, 0]), 3).tolist() == [[[0, 1]], [[0, 0]], [[1, 1]]]
    small = resize_masks(torch.tensor([[[1, 1, 0, 0], [1, 0, 0, 0]]]), (1, 2))
    assert small.tolist() == [[[1, 0]]]  # three quarters of the first cell


def test_small_objects_masks_count_as_much_as_large_ones():
    probabilities, targets = torch.full((2, 2, 2), 0.5), torch.ones(2, 2, 2)
    boxes = torch.tensor([[0.0, 0, 10, 20], [0, 0, 5, 10]])
    got = mask_losses(probabilities, targets, boxes, (20, 10, 3))
    torch.testing.assert_close(got, math.log(2) * torch.tensor([1.0, 4]))
