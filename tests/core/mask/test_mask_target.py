"""Mask targets, run lengths, boxes of masks."""

import numpy as np
import pycocotools.mask as mask_utils
import pytest
import torch

from mmdet.core.mask import (
    BitmapMasks,
    PolygonMasks,
    encode_mask_results,
    mask2bbox,
    mask_target,
    split_combined_polys,
)

CFG = dict(mask_size=4)


def half_masks():
    """Two masks on 8 x 8 px: left half and right half."""
    masks = np.zeros((2, 8, 8), np.uint8)
    masks[0, :, :4] = 1
    masks[1, :, 4:] = 1
    return BitmapMasks(masks, 8, 8)


def test_mask_target_is_the_assigned_mask_inside_the_box():
    boxes = torch.tensor([[0.0, 0, 8, 8], [0, 0, 8, 8], [4, 0, 8, 4]])
    targets = mask_target([boxes], [torch.tensor([0, 1, 1])], [half_masks()], CFG)
    left = torch.tensor([1.0, 1, 0, 0]).expand(4, 4)
    assert torch.equal(targets, torch.stack([left, 1 - left, torch.ones(4, 4)]))


def test_mask_target_cuts_boxes_to_the_image():
    targets = mask_target([torch.tensor([[-8.0, -3, 20, 9]])], [torch.tensor([0])], [half_masks()], CFG)
    assert torch.equal(targets[0], torch.tensor([1.0, 1, 0, 0]).expand(4, 4))


def test_mask_target_polygons_agree_with_bitmaps():
    polygons = PolygonMasks([[np.array([0.0, 0, 4, 0, 4, 8, 0, 8])], [np.array([4.0, 0, 8, 0, 8, 8, 4, 8])]], 8, 8)
    args = [torch.tensor([[0.0, 0, 8, 8], [2, 2, 6, 6]])], [torch.tensor([0, 1])]
    assert torch.equal(mask_target(*args, [polygons], CFG), mask_target(*args, [half_masks()], CFG))


def test_mask_target_images_lie_one_behind_the_other_and_may_be_empty():
    none = torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)
    one = torch.tensor([[0.0, 0, 8, 8]]), torch.tensor([1])
    targets = mask_target([none[0], one[0]], [none[1], one[1]], [half_masks()] * 2, dict(mask_size=(4, 6)))
    assert targets.shape == (1, 4, 6)
    assert mask_target([none[0]], [none[1]], [half_masks()], CFG).shape == (0, 4, 4)
    assert mask_target([], [], [], CFG).shape == (0, 4, 4)


def test_mask_target_soft_keeps_shares():
    cfg = dict(mask_size=1, soft_mask_target=True)
    soft = mask_target([torch.tensor([[0.0, 0, 8, 8]])], [torch.tensor([0])], [half_masks()], cfg)
    assert soft.item() == pytest.approx(0.5)


def test_encode_mask_results_round_trip_with_and_without_scores():
    masks = [[half_masks().masks[0]], [], [half_masks().masks[1].astype(bool)]]
    encoded = encode_mask_results(masks)
    assert [len(c) for c in encoded] == [1, 0, 1]
    assert np.array_equal(mask_utils.decode(encoded[2][0]), masks[2][0])
    again, scores = encode_mask_results((masks, 'scores'))
    assert again == encoded and scores == 'scores'


def test_mask2bbox_equals_boxes_of_bitmaps():
    masks = np.zeros((3, 6, 7), np.uint8)
    masks[0, 2:4, 1:6] = 1
    masks[1, 5, 6] = 1
    boxes = mask2bbox(torch.from_numpy(masks))
    assert boxes.tolist() == [[1, 2, 6, 4], [6, 5, 7, 6], [0, 0, 0, 0]]
    assert boxes.tolist() == BitmapMasks(masks, 6, 7).get_bboxes().tolist()
    assert mask2bbox(torch.zeros(0, 6, 7)).shape == (0, 4)


def test_split_combined_polys_nests_by_image_mask_and_polygon():
    joined = np.arange(20.0)
    (image,) = split_combined_polys([joined], [np.array([6, 8, 6])], [np.array([1, 2])])
    assert [[len(p) for p in mask] for mask in image] == [[6], [8, 6]]
    assert image[1][1].tolist() == list(range(14, 20))
    with pytest.raises(ValueError, match=r'add up to 14, expected 20'):
        split_combined_polys([joined], [np.array([6, 8])], [np.array([2])])
