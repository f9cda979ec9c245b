"""PolygonMasks: numbers by hand, and agreement with bitmaps."""

import numpy as np
import pytest

from mmdet.core.mask import PolygonMasks
from mmdet.core.mask.structures import bitmap_to_polygon, polygon_to_bitmap

RECTANGLE = np.array([10.0, 4, 30, 4, 30, 20, 10, 20])
TRIANGLE = np.array([2.0, 30, 12, 30, 2, 38])


@pytest.fixture
def masks():
    return PolygonMasks([[RECTANGLE], [RECTANGLE, TRIANGLE]], 40, 50)


@pytest.mark.parametrize(
    'operation',
    [
        lambda m: m.flip('horizontal'),
        lambda m: m.flip('vertical'),
        lambda m: m.flip('diagonal'),
        lambda m: m.crop(np.array([5, 2, 40, 39])),
        lambda m: m.pad((60, 70)),
        lambda m: m.expand(60, 70, 7, 9),
        lambda m: m.translate((40, 50), 6),
        lambda m: m.translate((40, 50), -3, 'vertical'),
        lambda m: m.resize((80, 100)),
        lambda m: m.rescale(0.5),
        lambda m: m.shear((40, 50), 0.2),
        lambda m: m.rotate((40, 50), 30, center=(24.5, 19.5)),
    ],
)
def test_operation_agrees_with_that_on_bitmaps(masks, operation):
    outlines, bitmaps = operation(masks).to_ndarray(), operation(masks.to_bitmap()).to_ndarray()
    assert outlines.shape == bitmaps.shape
    union = (outlines | bitmaps).sum((1, 2))
    differing = (outlines != bitmaps).sum((1, 2))
    assert (differing < 0.2 * union).all()  # only along the outlines


def test_crop_and_resize_agrees_with_bitmaps(masks):
    boxes = np.array([[5, 2, 35, 24], [0, 25, 20, 40]], np.float32)
    outlines = masks.crop_and_resize(boxes, (28, 28), np.array([0, 1]))
    bitmaps = masks.to_bitmap().crop_and_resize(boxes, (28, 28), np.array([0, 1]))
    assert (outlines.to_ndarray() != bitmaps.to_ndarray()).sum((1, 2)).max() < 40
    assert [len(mask) for mask in outlines] == [1, 2]


def test_areas_and_boxes_hand_computed(masks):
    assert masks.areas.tolist() == [320, 360]
    assert masks.get_bboxes().tolist() == [[10, 4, 30, 20], [2, 4, 30, 38]]


def test_flip_hand_computed(masks):
    assert masks.flip('horizontal').masks[0][0].tolist() == [40, 4, 20, 4, 20, 20, 40, 20]
    assert masks.flip('vertical').masks[0][0].tolist() == [10, 36, 30, 36, 30, 20, 10, 20]


def test_operations_leave_the_polygons_as_they_were(masks):
    masks.resize((80, 100)).masks[0][0][:] = 0
    masks.crop(np.array([5, 5, 20, 20])).masks[0][0][:] = 0
    assert masks.masks[0][0].tolist() == RECTANGLE.tolist()


def test_no_polygons_no_masks():
    empty = PolygonMasks([], 40, 50)
    assert empty.areas.shape == (0,) and empty.get_bboxes().shape == (0, 4)
    assert empty.to_ndarray().shape == (0, 40, 50)
    assert len(empty.crop_and_resize(np.zeros((0, 4)), (7, 7), np.zeros(0, int))) == 0
    hollow = PolygonMasks([[]], 40, 50)
    assert hollow.areas.tolist() == [0] and hollow.get_bboxes().tolist() == [[0, 0, 0, 0]]
    assert not hollow.to_ndarray().any()


def test_getitem_list_repeats_and_reorders(masks):
    assert [len(mask) for mask in masks[[1, 0, 1]]] == [2, 1, 2]
    assert len(masks[np.array([False, True])]) == 1


def test_wrong_arguments_say_what_is_expected(masks):
    with pytest.raises(TypeError, match='a list of lists of arrays'):
        PolygonMasks([RECTANGLE], 40, 50)
    with pytest.raises(ValueError, match='no soft masks'):
        masks.crop_and_resize(np.zeros((1, 4)), (7, 7), np.array([0]), binarize=False)
    with pytest.raises(ValueError, match='fill_val must be 0 or None, got 1'):
        masks.translate((40, 50), 1, fill_val=1)


def test_random_polygons_lie_inside_the_image():
    boxes = PolygonMasks.random(20, 30, 60, rng=0).get_bboxes()
    assert boxes.min() >= 0 and boxes[:, 2].max() <= 60 and boxes[:, 3].max() <= 30


def test_bitmap_to_polygon_finds_pieces_and_holes():
    bitmap = np.zeros((12, 12), bool)
    bitmap[1:4, 1:4] = True
    pieces, has_holes = bitmap_to_polygon(bitmap)
    assert len(pieces) == 1 and not has_holes and pieces[0].min() == 1 and pieces[0].max() == 3
    bitmap[5:11, 5:11] = True
    bitmap[7:9, 7:9] = False
    pieces, has_holes = bitmap_to_polygon(bitmap)
    assert len(pieces) == 3 and has_holes
    assert bitmap_to_polygon(np.zeros((3, 3))) == ([], False)


def test_polygon_to_bitmap_is_the_union():
    bitmap = polygon_to_bitmap([RECTANGLE, RECTANGLE + 1], 40, 50)
    assert bitmap.dtype == bool and bitmap[4:20, 10:30].all() and bitmap[5:21, 11:31].all()
    assert bitmap.sum() == 320 + 20 + 16 - 1


@pytest.mark.parametrize('index', [np.array([]), np.zeros(0, np.int64), np.zeros(2, bool)])
def test_nothing_is_picked_by_an_empty_index_of_any_type(masks, index):
    assert len(masks[index]) == 0


@pytest.mark.parametrize('polygon', [[], np.zeros(0), np.array([1.0, 2, 3])])
def test_polygons_without_whole_points_are_refused(polygon):
    with pytest.raises(ValueError, match='object 1 has a polygon without points, or one with half a point'):
        PolygonMasks([[np.array([0.0, 0, 2, 0, 2, 2])], [polygon]], 4, 4)
