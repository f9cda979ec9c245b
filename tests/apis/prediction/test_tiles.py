"""Where tiles lie, and what becomes of their detections, by hand."""

import numpy as np
import pytest
from pycocotools import mask as mask_coding

from mmdet.apis.prediction.detections import Detections
from mmdet.apis.prediction.tiles import Tiling, TilingError, Window, merge_tiles, tile_windows
from mmdet.core.visualization.instances import to_masks

WINDOWS = [Window(0, 0, 180, 100), Window(0, 0, 100, 100), Window(80, 0, 180, 100)]
NOTHING = np.zeros((0, 6))


def found(*rows):
    """Detections of rows (x1, y1, x2, y2, score, label)."""
    rows = np.array(rows or NOTHING, dtype=np.float32)
    return Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64))


def merged(*parts, iou_thr=0.5):
    out = merge_tiles([found(*part) for part in parts], WINDOWS, (180, 100), iou_thr)
    return [
        [*box, round(float(score), 2), int(label)]
        for box, score, label in zip(out.boxes.tolist(), out.scores, out.labels)
    ]


def test_tiles_overlap_and_the_last_reach_back():
    assert tile_windows(180, 100, Tiling(100, 0.2)) == WINDOWS
    assert tile_windows(250, 90, Tiling(100, 0.2))[1:] == [(0, 0, 100, 90), (80, 0, 180, 90), (150, 0, 250, 90)]
    assert [w[:2] for w in tile_windows(101, 101, Tiling(100, 0))[1:]] == [(0, 0), (1, 0), (0, 1), (1, 1)]


def test_image_of_a_tile_is_one_window():
    assert tile_windows(100, 60, Tiling(100)) == [(0, 0, 100, 60)]


@pytest.mark.parametrize('width', [101, 199, 333])
@pytest.mark.parametrize('overlap', [0.0, 0.3, 0.99])
def test_tiles_cover_every_pixel(width, overlap):
    seen = np.zeros(width, bool)
    for x1, _, x2, _ in tile_windows(width, 10, Tiling(100, overlap))[1:]:
        assert x2 - x1 == 100
        seen[x1:x2] = True
    assert seen.all()


@pytest.mark.parametrize('tiling', [Tiling(0), Tiling(10, 1.0), Tiling(10, -0.1), Tiling(10, 0.2, 0.0)])
def test_tiles_that_cannot_be_laid_are_refused(tiling):
    with pytest.raises(TilingError, match='expected a size of at least 1'):
        tiling.check()


def test_boxes_move_and_the_better_of_two_tiles_stays():
    left, right = (85, 20, 95, 40, 0.7, 0), (5, 20, 15, 40, 0.9, 0)  # the same object in two tiles
    assert merged((), [left], [right]) == [[85, 20, 95, 40, 0.9, 0]]
    assert merged((), [left], [(5, 20, 15, 40, 0.9, 1)]) == [[85, 20, 95, 40, 0.9, 1], [85, 20, 95, 40, 0.7, 0]]


def test_boxes_of_one_tile_are_not_compared():
    both = [(10, 10, 30, 30, 0.9, 0), (10, 10, 30, 31, 0.8, 0)]
    assert len(merged((), both, ())) == 2 and len(merged([both[0]], [both[1]], ())) == 1


def test_whole_box_stands_before_the_part_that_a_border_cuts():
    cut, whole = (70, 20, 100, 40, 0.95, 0), (5, 20, 60, 40, 0.6, 0)  # in the image 70 to 100, and 85 to 140
    # 15 of the 30 px of the cut one are covered: half of it, an IoU of 0.21
    assert merged((), [cut], [whole]) == [[85, 20, 140, 40, 0.6, 0]]
    assert len(merged((), [cut], [whole], iou_thr=0.51)) == 2


def test_small_box_inside_a_large_one_stays_where_no_border_cuts_it():
    inner, outer = (85, 20, 95, 30, 0.9, 0), (5, 5, 90, 95, 0.95, 0)
    assert len(merged((), [inner], [outer])) == 2


def test_image_border_cuts_nothing():
    at_edge, larger = (0, 20, 20, 40, 0.6, 0), (0, 10, 50, 60, 0.5, 0)
    assert len(merged([larger], [at_edge], ())) == 2


def test_masks_and_keypoints_move_with_their_boxes():
    bitmap = np.zeros((100, 100), np.uint8)
    bitmap[20:40, 30:50] = 1
    runs = [mask_coding.encode(np.asfortranarray(bitmap))]
    points = np.array([[[35.0, 25.0, 0.9]]])
    one = Detections(np.array([[30, 20, 50, 40]], np.float32), np.array([0.9], np.float32), np.array([0]), runs, points)
    empty = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), None, points[:0])
    out = merge_tiles([empty, empty, one], WINDOWS, (180, 100), 0.5)
    expected = np.zeros((100, 180), bool)
    expected[20:40, 110:130] = True
    np.testing.assert_array_equal(to_masks(out.masks)[0], expected)
    assert out.keypoints.tolist() == [[[115.0, 25.0, 0.9]]]


def test_no_detection_at_all():
    assert merged((), (), ()) == []
