"""Targets and decoding of keypoint heat maps."""

import math

import pytest
import torch
from torchvision.models.detection.roi_heads import heatmaps_to_keypoints, keypoints_to_heatmap

from mmdet.core.keypoint import decode_heatmaps, flip_heatmaps, keypoint_targets
from mmdet.core.keypoint.heatmaps import cubic_weights


def random_boxes(count, largest, seed=0):
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(count, 2, generator=generator) * 50
    return torch.cat([low, low + 0.3 + torch.rand(count, 2, generator=generator) * largest], 1)


def test_keypoint_targets_by_hand():
    boxes = torch.tensor([[10.0, 20, 18, 36]])  # 4 columns of 2 px, 4 rows of 4 px
    keypoints = torch.tensor(
        [[[10.0, 20, 2], [13, 25, 1], [18, 36, 2], [18.5, 30, 2], [9.9, 30, 2], [13, 25, 0], [18, 20, 2]]]
    )
    positions, valid = keypoint_targets(keypoints, boxes, 4)
    assert positions.tolist() == [[0, 5, 15, 0, 0, 0, 3]]
    assert valid.tolist() == [[True, True, True, False, False, False, True]]


@pytest.mark.parametrize('seed', range(3))
def test_keypoint_targets_equal_torchvision(seed):
    boxes = random_boxes(40, 60, seed)
    generator = torch.Generator().manual_seed(seed)
    spread = torch.rand(40, 17, 2, generator=generator) * 1.4 - 0.2
    xy = boxes[:, None, :2] + spread * (boxes[:, 2:] - boxes[:, :2])[:, None]
    xy[0] = boxes[0, 2:]  # exactly on the far corner
    keypoints = torch.cat([xy, torch.randint(0, 3, (40, 17, 1), generator=generator)], 2)
    positions, valid = keypoint_targets(keypoints, boxes, 56)
    want_positions, want_valid = keypoints_to_heatmap(keypoints, boxes, 56)
    assert torch.equal(positions, want_positions)
    assert torch.equal(valid, want_valid.bool())
    assert 0 < valid.sum() < valid.numel()


def test_keypoint_targets_box_without_extent_holds_no_point():
    keypoints = torch.tensor([[[5.0, 5, 2]]]).expand(3, 1, 3)
    boxes = torch.tensor([[5.0, 5, 5, 9], [5, 5, 5, 5], [9, 5, 5, 9]])
    positions, valid = keypoint_targets(keypoints, boxes, 8)
    assert not valid.any() and not positions.any()


def test_keypoint_targets_of_no_roi_are_empty():
    positions, valid = keypoint_targets(torch.zeros(0, 17, 3), torch.zeros(0, 4), 56)
    assert positions.shape == valid.shape == (0, 17)


@pytest.mark.parametrize('chunk_values', [1, 3000, 2**22])
def test_decoding_equals_torchvision_whatever_the_chunks(chunk_values):
    maps, boxes = torch.randn(9, 3, 14, 14, generator=torch.Generator().manual_seed(0)), random_boxes(9, 70)
    boxes[4] = torch.tensor([3.0, 4, 3.2, 4.1])  # smaller than a pixel
    decoded = decode_heatmaps(maps, boxes, chunk_values)
    points, logits = heatmaps_to_keypoints(maps, boxes)
    assert torch.allclose(decoded.points, points[..., :2], atol=1e-4)
    assert torch.allclose(decoded.logits, logits, atol=1e-5)


def test_decoding_goes_back_to_the_keypoint():
    boxes = torch.tensor([[10.0, 20, 66, 132]])  # 56 columns of 1 px, 56 rows of 2 px
    keypoints = torch.tensor([[[30.5, 61.0, 2], [10.2, 131.9, 2]]])
    positions, _ = keypoint_targets(keypoints, boxes, 56)
    maps = torch.nn.functional.one_hot(positions, 56 * 56).reshape(1, 2, 56, 56) * 9.0
    points = decode_heatmaps(maps, boxes).points
    assert (points - keypoints[..., :2]).abs().max() <= 1.5


def test_decoded_score_is_the_share_of_the_softmax():
    maps = torch.zeros(1, 1, 4, 4)
    maps[0, 0, 1, 2] = 5.0
    decoded = decode_heatmaps(maps, torch.tensor([[0.0, 0, 4, 4]]))
    assert decoded.points.tolist() == [[[2.5, 1.5]]]
    assert decoded.scores.item() == pytest.approx(math.exp(5) / (math.exp(5) + 15), rel=1e-5)


def test_decoding_of_no_roi_is_empty():
    decoded = decode_heatmaps(torch.zeros(0, 17, 56, 56), torch.zeros(0, 4))
    assert decoded.points.shape == (0, 17, 2) and decoded.scores.shape == (0, 17)


def test_cubic_weights_of_each_value_add_up_to_one():
    weights = cubic_weights(torch.tensor([1, 7, 20]), 20, 7)
    assert torch.allclose(weights.sum(2), torch.ones(3, 20))
    assert torch.equal(weights[1, :7], torch.eye(7))  # as many as there are: nothing changes


def test_flip_heatmaps_mirrors_and_exchanges():
    maps = torch.arange(12.0).reshape(1, 3, 2, 2)
    flipped = flip_heatmaps(maps, [0, 2, 1])
    assert flipped.tolist() == [[[[1, 0], [3, 2]], [[9, 8], [11, 10]], [[5, 4], [7, 6]]]]
    assert torch.equal(flip_heatmaps(flipped, [0, 2, 1]), maps)
