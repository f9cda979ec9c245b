"""COCO's seven curves, on cases of which each has one kind of error."""

import numpy as np
import pytest

from mmdet.datasets.api_wrappers import COCO
from mmdet.datasets.metrics.coco_errors import CURVES, area_ranges, areas_under, error_curves, mean_curves

AREAS = (1024, 9216, 10**10)
# cat and dog are animals, the car is none
CATEGORIES = [
    dict(id=1, name='cat', supercategory='animal'),
    dict(id=2, name='dog', supercategory='animal'),
    dict(id=3, name='car', supercategory='vehicle'),
]


def indexed(annotations, images=1):
    coco = COCO()
    coco.dataset = dict(
        info={}, images=[dict(id=i) for i in range(images)], categories=CATEGORIES, annotations=annotations
    )
    coco.createIndex()
    return coco


def under(gts, dets):
    """Areas under the seven curves of cats of every size: gts (category, box), dets (category, box, score)."""
    anns = [
        dict(id=i, image_id=0, category_id=c, bbox=box, area=box[2] * box[3], iscrowd=0)
        for i, (c, box) in enumerate(gts, 1)
    ]
    coco_gt = indexed(anns)
    found = [dict(image_id=0, category_id=c, bbox=box, score=score) for c, box, score in dets]
    curves = error_curves(coco_gt, coco_gt.loadRes(found), 'bbox', AREAS)
    assert curves.cat_ids == [1, 2, 3] and curves.precision.shape == (7, 101, 3, 4)
    return dict(zip(CURVES, areas_under(curves.precision)[:, 0, 0].round(9).tolist()))


BOX, FAR, THIRD = [0, 0, 40, 40], [100, 100, 40, 40], [200, 0, 40, 40]


def test_errors_perfect_detection_has_full_curves():
    assert set(under([(1, BOX)], [(1, BOX, 0.9)]).values()) == {1}


def test_errors_badly_placed_detection_is_forgiven_by_place():
    # 40 x 24 of 40 x 40 px: IoU 0.6
    assert under([(1, BOX)], [(1, [0, 0, 40, 24], 0.9)]) == dict(C75=0, C50=1, Loc=1, Sim=1, Oth=1, BG=1, FN=1)
    assert under([(1, BOX)], [(1, [0, 0, 40, 12], 0.9)]) == dict(C75=0, C50=0, Loc=1, Sim=1, Oth=1, BG=1, FN=1)


@pytest.mark.parametrize('other, sim', [(2, 1.0), (3, 0.5)])
def test_errors_taking_another_class_is_forgiven_by_its_supercategory_or_by_any(other, sim):
    got = under([(1, BOX), (other, FAR)], [(1, BOX, 0.5), (1, FAR, 0.9)])
    assert got == pytest.approx(dict(C75=0.5, C50=0.5, Loc=0.5, Sim=sim, Oth=1, BG=1, FN=1))


def test_errors_find_in_the_void_is_background_and_a_second_find_of_an_object_too():
    want = pytest.approx(dict(C75=0.5, C50=0.5, Loc=0.5, Sim=0.5, Oth=0.5, BG=1, FN=1))
    assert under([(1, BOX)], [(1, BOX, 0.5), (1, FAR, 0.9)]) == want
    # of the dog that two detections are of, one is forgiven and the other one is not
    got = under([(1, BOX), (2, FAR)], [(1, BOX, 0.5), (1, FAR, 0.9), (1, FAR, 0.8)])
    assert got['Sim'] == got['Oth'] == pytest.approx(0.5) and got['C50'] == pytest.approx(1 / 3)


def test_errors_missed_objects_are_forgiven_last():
    got = under([(1, BOX), (1, FAR)], [(1, BOX, 0.9)])
    assert got.pop('FN') == 1 and set(np.round(list(got.values()), 2)) == {0.5}


def test_errors_class_without_objects_has_no_curves_and_does_not_count():
    gts = indexed([dict(id=1, image_id=0, category_id=1, bbox=BOX, area=1600, iscrowd=0)])
    curves = error_curves(gts, gts.loadRes([dict(image_id=0, category_id=2, bbox=THIRD, score=1.0)]), 'bbox', AREAS)
    assert (curves.precision[:, :, 1:] == -1).all()
    means = mean_curves(curves.precision)
    assert np.array_equal(means[..., 0], curves.precision[:, :, 0, 0])
    assert (means[..., 3] == -1).all()  # no large object at all


def test_area_ranges_need_three_rising_limits():
    assert area_ranges(AREAS) == [[0, 10**10], [0, 1024], [1024, 9216], [9216, 10**10]]
    for wrong in ((1, 2), (3, 2, 9)):
        with pytest.raises(ValueError, match='three ascending'):
            area_ranges(wrong)
