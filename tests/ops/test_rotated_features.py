"""Pooling of rotated boxes against the pooling of straight ones, and the other operators by hand."""

import math

import pytest
import torch
import torchvision
from torch.autograd import gradcheck

from mmdet.ops import RoIAlignRotated
from mmdet.ops.rotated_features import (
    active_rotated_filter,
    chamfer_distance,
    roi_align_rotated,
    rotated_feature_align,
)

FEATURES = torch.rand(2, 3, 14, 17, generator=torch.Generator().manual_seed(0))
# image, x, y, width, height in image pixels, half a cell each
BOXES = torch.tensor([[1.0, 12, 10, 12, 8], [0, 20, 16, 9, 14], [1, 17, 14, 5, 5]])


def straight(boxes):
    """(n, 5) image, centre and size -> (n, 5) image, xyxy."""
    centre, half = boxes[:, 1:3], boxes[:, 3:5] / 2
    return torch.cat([boxes[:, :1], centre - half, centre + half], 1)


def turned(boxes, angle):
    return torch.cat([boxes, torch.full_like(boxes[:, :1], angle)], 1)


@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('sampling_ratio', [0, 2])
def test_without_an_angle_it_is_roi_align(aligned, sampling_ratio):
    expected = torchvision.ops.roi_align(FEATURES, straight(BOXES), (2, 3), 0.5, sampling_ratio or -1, aligned)
    pooled = roi_align_rotated(FEATURES, turned(BOXES, 0.0), (2, 3), 0.5, sampling_ratio, aligned)
    torch.testing.assert_close(pooled, expected)
    layer = RoIAlignRotated((2, 3), 0.5, sampling_ratio, aligned)
    torch.testing.assert_close(layer(FEATURES, turned(BOXES, 0.0)), expected)


@pytest.mark.parametrize(('angle', 'clockwise'), [(math.pi / 2, True), (-math.pi / 2, False)])
def test_a_quarter_turn_clockwise_turns_the_grid(angle, clockwise):
    # the box (w, h) turned clockwise covers what the straight box (h, w) does; its first row is the last column there
    swapped = BOXES[:, [0, 1, 2, 4, 3]]
    expected = torchvision.ops.roi_align(FEATURES, straight(swapped), (3, 2), 0.5, 2, True)
    pooled = roi_align_rotated(FEATURES, turned(BOXES, angle), (2, 3), 0.5, 2, True, clockwise)
    torch.testing.assert_close(pooled, expected.flip(3).transpose(2, 3), rtol=1e-4, atol=1e-5)


def test_pooling_of_a_slope_at_an_angle():
    # on the map x + 10 y a bin's mean is the value at its middle
    ys, xs = torch.meshgrid(torch.arange(30.0), torch.arange(30.0), indexing='ij')
    slope = (xs + 10 * ys)[None, None]
    rois = torch.tensor([[0, 15.5, 14.5, 8, 4, math.pi / 6]])  # cell coordinates 15, 14
    pooled = roi_align_rotated(slope, rois, (1, 2), 1.0, 2, True, clockwise=True)
    along = torch.tensor([math.cos(math.pi / 6), math.sin(math.pi / 6)]) * 2  # half a bin from the middle of the box
    expected = [(15 + 10 * 14) + sign * (along[0] + 10 * along[1]).item() for sign in (-1, 1)]
    assert pooled.flatten().tolist() == pytest.approx(expected, rel=1e-5)


def test_gradient_no_rois_and_wrong_rois():
    features = FEATURES[:, :1, :6, :6].double().requires_grad_()
    assert gradcheck(lambda f: roi_align_rotated(f, turned(BOXES[:2], 0.4).double(), 2, 0.25, 2), features)
    none = roi_align_rotated(features, torch.zeros(0, 6), 2, 1.0)
    assert none.shape == (0, 1, 2, 2) and none.requires_grad
    with pytest.raises(ValueError, match=r'RoIs must be \(n, 6\).*got \(3, 5\)'):
        roi_align_rotated(FEATURES, BOXES, 2, 1.0)


def test_features_of_the_box_of_a_cell_are_added():
    features = torch.arange(12.0).view(1, 1, 3, 4)  # value at row i, column j: 4 i + j
    boxes = torch.zeros(1, 3, 4, 5)
    boxes[..., 0], boxes[..., 1] = 8, 16  # y and x, in image pixels: row 1, column 2 of the map
    torch.testing.assert_close(rotated_feature_align(features, boxes), features + 6)
    boxes[..., 2], boxes[..., 3] = 16, 8  # corners at columns 1 and 3, rows 0.5 and 1.5: their mean is the middle
    torch.testing.assert_close(rotated_feature_align(features, boxes, points=5), features + 5 * 6)
    boxes[..., 4] = math.pi / 2  # columns 1.5 and 2.5, rows 0 and 2
    torch.testing.assert_close(rotated_feature_align(features, boxes, points=5), features + 5 * 6)
    with pytest.raises(ValueError, match='points must be 1 or 5, got 4'):
        rotated_feature_align(features, boxes, points=4)


def test_filters_are_turned():
    filters = torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8]]).view(2, 1, 1, 2, 2)
    # one orientation, two turns: none, and a quarter: entry 1 goes to place 2, 2 to 4, 3 to 1, 4 to 3
    indices = torch.tensor([[1, 2], [2, 4], [3, 1], [4, 3]]).view(1, 2, 2, 2).int()
    out = active_rotated_filter(filters, indices)
    assert out.shape == (4, 1, 2, 2)
    assert out.flatten(1).tolist() == [[1, 2, 3, 4], [3, 1, 4, 2], [5, 6, 7, 8], [7, 5, 8, 6]]


def test_chamfer_distance_by_hand():
    first, second = torch.tensor([[[0.0, 0], [3, 4]]]), torch.tensor([[[0.0, 1], [3, 3], [9, 9]]])
    to_second, to_first, nearest, nearest_back = chamfer_distance(first, second)
    assert (to_second.tolist(), to_first.tolist()) == ([[1, 1]], [[1, 1, 61]])
    assert (nearest.tolist(), nearest_back.tolist()) == ([[0, 1]], [[0, 1, 1]]) and nearest.dtype == torch.int32
