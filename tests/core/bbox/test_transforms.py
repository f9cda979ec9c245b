"""Changes of box format and frame: hand-computed numbers and inverses."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from mmdet.core.bbox.demodata import random_boxes
from mmdet.core.bbox.transforms import (
    bbox2distance,
    bbox2result,
    bbox2roi,
    bbox_cxcywh_to_xyxy,
    bbox_flip,
    bbox_mapping,
    bbox_mapping_back,
    bbox_rescale,
    bbox_xyxy_to_cxcywh,
    clip_boxes,
    distance2bbox,
    find_inside_bboxes,
    roi2bbox,
)

BOX = torch.tensor([[1.0, 2, 4, 8]])


@pytest.mark.parametrize(
    'direction, want', [('horizontal', [6, 2, 9, 8]), ('vertical', [1, 12, 4, 18]), ('diagonal', [6, 12, 9, 18])]
)
def test_bbox_flip_mirrors_in_the_image(direction, want):
    flipped = bbox_flip(BOX.repeat(1, 2), (20, 10, 3), direction)
    assert_close(flipped, torch.tensor([want * 2], dtype=torch.float))
    assert_close(bbox_flip(flipped, (20, 10), direction), BOX.repeat(1, 2))


def test_bbox_flip_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="did you mean 'horizontal'"):
        bbox_flip(BOX, (20, 10), 'horizontl')
    with pytest.raises(ValueError, match=r'expected \(\.\.\., 4k\) boxes, got \(1, 3\)'):
        bbox_flip(BOX[:, :3], (20, 10))


@pytest.mark.parametrize('flip', [False, True])
def test_bbox_mapping_back_is_the_inverse(flip):
    boxes, factor = random_boxes(5, 40, 0), np.array([2.0, 0.5, 2.0, 0.5], dtype=np.float32)
    mapped = bbox_mapping(boxes, (20, 80, 3), factor, flip, 'diagonal')
    assert_close(bbox_mapping_back(mapped, (20, 80, 3), factor, flip, 'diagonal'), boxes)
    if not flip:
        assert_close(mapped, boxes * torch.from_numpy(factor))


def test_bbox2roi_numbers_images_and_keeps_empty_ones():
    rois = bbox2roi([torch.rand(2, 5), torch.zeros(0, 4), torch.rand(1, 4)])
    assert rois.shape == (3, 5)
    assert rois[:, 0].tolist() == [0, 0, 2]
    assert bbox2roi([torch.zeros(0, 4)]).shape == (0, 5)
    first, last = roi2bbox(rois)
    assert_close(first, rois[:2, 1:])
    assert_close(last, rois[2:, 1:])


def test_bbox2result_sorts_by_class():
    dets = torch.arange(15.0).reshape(3, 5)
    result = bbox2result(dets.requires_grad_(), torch.tensor([2, 0, 2]), 4)
    assert [len(r) for r in result] == [1, 0, 2, 0]
    np.testing.assert_array_equal(result[2], dets.detach().numpy()[[0, 2]])
    assert [r.shape for r in bbox2result(torch.zeros(0, 5), torch.zeros(0), 2)] == [(0, 5)] * 2


def test_distances_and_boxes_are_inverse():
    points = torch.tensor([[3.0, 4], [0, 0]])
    boxes = torch.tensor([[1.0, 1, 9, 5], [-2, -3, 4, 5]])
    distances = bbox2distance(points, boxes)
    assert_close(distances, torch.tensor([[2.0, 3, 6, 1], [2, 3, 4, 5]]))
    assert_close(distance2bbox(points, distances), boxes)
    assert_close(bbox2distance(points, boxes, max_dis=4, eps=0.5)[0], torch.tensor([2.0, 3, 3.5, 1]))


def test_distance2bbox_zero_max_dis_is_a_bound():
    assert bbox2distance(torch.zeros(1, 2), torch.tensor([[-9.0, -9, 9, 9]]), max_dis=0, eps=0).tolist() == [[0] * 4]


def test_clip_boxes_of_a_batch_equals_each_image():
    boxes, shapes = random_boxes(12, 50, 1).reshape(2, 3, 2, 4) - 10, [(20, 30, 3), (25, 10, 3)]
    want = torch.stack([clip_boxes(b, s) for b, s in zip(boxes, shapes)])
    assert_close(clip_boxes(boxes, shapes), want)
    assert_close(clip_boxes(boxes, torch.tensor(shapes)), want)
    assert_close(clip_boxes(boxes[0], torch.tensor(shapes[0])), want[0])
    assert_close(clip_boxes(torch.tensor([[-1.0, 3, 99, 99]]), (20, 30), offset=1), torch.tensor([[0.0, 3, 29, 19]]))


def test_clip_boxes_wrong_number_of_shapes_raises():
    with pytest.raises(ValueError, match='3 shapes do not fit boxes of shape'):
        clip_boxes(torch.zeros(2, 5, 4), [(1, 1)] * 3)


def test_bbox_rescale_keeps_centres_and_batch_numbers():
    rois = torch.cat([torch.tensor([[7.0]]), BOX], dim=1)
    assert_close(bbox_rescale(rois, 2.0), torch.tensor([[7.0, -0.5, -1, 5.5, 11]]))
    assert_close(bbox_rescale(BOX, 2.0), torch.tensor([[-0.5, -1, 5.5, 11]]))


def test_centre_format_round_trip():
    assert_close(bbox_xyxy_to_cxcywh(BOX), torch.tensor([[2.5, 5, 3, 6]]))
    boxes = random_boxes(6, 9, 2).reshape(2, 3, 4)
    assert_close(bbox_cxcywh_to_xyxy(bbox_xyxy_to_cxcywh(boxes)), boxes)


def test_find_inside_bboxes_needs_an_overlap():
    boxes = torch.tensor([[0.0, 0, 5, 5], [10, 0, 12, 5], [-4, 0, 0, 5], [9, 19, 30, 30]])
    assert find_inside_bboxes(boxes, 20, 10).tolist() == [True, False, False, True]


def test_random_boxes_are_ordered_and_repeatable():
    boxes = random_boxes(50, 3, 4)
    assert boxes.shape == (50, 4)
    assert bool((boxes[:, :2] <= boxes[:, 2:]).all()) and bool(((boxes >= 0) & (boxes <= 3)).all())
    assert torch.equal(boxes, random_boxes(50, 3, 4))
