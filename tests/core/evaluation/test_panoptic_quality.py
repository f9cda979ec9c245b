"""Panoptic quality, by hand."""

import numpy as np
import pytest

from mmdet.core.evaluation.panoptic_quality import PQStat, make_segments, overlap_areas
from mmdet.core.evaluation.panoptic_utils import id2rgb

CATS = {7: dict(isthing=1), 8: dict(isthing=0), 9: dict(isthing=0)}


def row(*runs):
    """A picture of one row: (id, length) after another."""
    return np.concatenate([np.full(length, value) for value, length in runs])[None]


def segments(**categories):
    """``a7=1`` style is no identifier, so: id1=7 means segment 1 of category 7; a negative category is a crowd."""
    return make_segments([
        dict(id=int(name[2:]), category_id=abs(cat), iscrowd=int(cat < 0)) for name, cat in categories.items()
    ])  # fmt: skip


def stat_of(gt_ids, pred_ids, gt, pred):
    stat = PQStat()
    stat.add_image(gt_ids, pred_ids, gt, pred)
    return stat


def test_overlap_areas_count_pixels_of_each_pair():
    gt, pred = segments(id3=7, id5=8), segments(id1=7, id2=8)
    areas = overlap_areas(row((0, 2), (3, 4), (5, 4)), row((1, 5), (2, 2), (0, 1), (1, 2)), gt, pred).areas
    assert areas.tolist() == [[0, 2, 0], [0, 3, 1], [1, 2, 1]]


def test_overlap_areas_equal_a_count_pixel_by_pixel():
    rng = np.random.default_rng(0)
    gt_ids, pred_ids = rng.choice([0, 4, 70000, 2**24 - 1], (2, 9, 13))
    some = segments(**{f'id{i}': 7 for i in (4, 70000, 2**24 - 1)})
    areas = overlap_areas(gt_ids, pred_ids, some, some).areas
    want = [[((gt_ids == g) & (pred_ids == p)).sum() for p in (0, *some.ids)] for g in (0, *some.ids)]
    assert areas.tolist() == np.asarray(want).tolist()


def test_a_perfect_prediction_has_quality_one():
    ids = row((1, 3), (2, 5), (0, 2))
    figures, per_class = stat_of(ids, ids, *[segments(id1=7, id2=8)] * 2).pq_average(CATS)
    assert figures == dict(pq=1, sq=1, rq=1, n=2)
    assert per_class[9] == dict(pq=0, sq=0, rq=0)  # occurs nowhere: counts for no mean


def test_quality_of_a_match_a_miss_and_a_mistake():
    gt_ids, pred_ids = row((1, 8), (2, 4), (3, 8)), row((1, 6), (4, 3), (0, 3), (2, 4), (5, 4))
    gt, pred = segments(id1=7, id2=7, id3=8), segments(id1=7, id2=8, id4=7, id5=8)
    stat = stat_of(gt_ids, pred_ids, gt, pred)
    assert stat[7].tolist() == [6 / 8, 1, 1, 1]
    assert stat[8].tolist() == [0, 0, 2, 1]  # an IoU of exactly one half is no match
    assert stat.pq_average(CATS, isthing=True)[0] == dict(pq=0.75 / 2, sq=0.75, rq=0.5, n=1)
    assert stat.pq_average(CATS, isthing=False)[0] == dict(pq=0, sq=0, rq=0, n=1)
    assert stat.pq_average(CATS)[0]['pq'] == pytest.approx(0.75 / 4)


def test_void_pixels_count_for_no_segment():
    stat = stat_of(row((1, 4), (0, 4)), row((1, 8)), segments(id1=7), segments(id1=7))
    assert stat[7].tolist() == [1, 1, 0, 0]


def test_mostly_on_void_is_no_mistake():
    gt_ids, gt = row((1, 6), (0, 4)), segments(id1=8)
    assert stat_of(gt_ids, row((1, 4), (2, 6)), gt, segments(id1=8, id2=7))[7].tolist() == [0, 0, 0, 0]
    assert stat_of(gt_ids, row((1, 2), (2, 8)), gt, segments(id1=8, id2=7))[7].tolist() == [0, 0, 1, 0]


def test_crowds_are_neither_found_nor_missed_and_excuse_their_category():
    gt_ids, gt = row((1, 8), (2, 2)), segments(id1=-7, id2=8)
    assert stat_of(gt_ids, row((0, 8), (1, 2)), gt, segments(id1=8))[7].tolist() == [0, 0, 0, 0]
    assert stat_of(gt_ids, row((3, 8), (1, 2)), gt, segments(id1=8, id3=7))[7].tolist() == [0, 0, 0, 0]
    assert stat_of(gt_ids, row((3, 8), (1, 2)), gt, segments(id1=8, id3=9))[9].tolist() == [0, 0, 1, 0]


def test_images_add_up():
    gt_ids, gt = row((1, 4)), segments(id1=7)
    total = stat_of(gt_ids, gt_ids, gt, gt)
    total += stat_of(gt_ids, row((0, 4)), gt, segments())
    assert total[7].tolist() == [1, 1, 0, 1]


def test_nothing_at_all_has_quality_zero():
    stat = stat_of(row((0, 4)), row((0, 4)), segments(), segments())
    assert stat.pq_average(CATS)[0] == dict(pq=0, sq=0, rq=0, n=0)


@pytest.mark.parametrize(
    'pred_ids, pred, message',
    [
        (row((5, 4)), dict(), r'pixels of the ids \[5\], but no such segments'),
        (row((1, 4)), dict(id1=7, id5=7), r'segments \[5\], but no pixels'),
        (row((1, 3)), dict(id1=7), 'differ in size'),
    ],
)
def test_pictures_that_do_not_fit_are_refused(pred_ids, pred, message):
    with pytest.raises(ValueError, match=message):
        stat_of(row((1, 4)), pred_ids, segments(id1=7), segments(**pred))


@pytest.mark.parametrize('ids', [[1, 1], [0]])
def test_segments_need_ids_of_their_own(ids):
    with pytest.raises(ValueError, match='ids must differ'):
        make_segments([dict(id=i, category_id=7) for i in ids])


def test_id2rgb_puts_the_lowest_byte_first():
    assert id2rgb(np.array([[0, 258, 65536 * 3 + 4]])).tolist() == [[[0, 0, 0], [2, 1, 0], [4, 0, 3]]]
