"""Thresholds, start and brake from hand-made counts."""

import pytest
import torch

from mmdet.models.teacher.calibration import Calibration, Counts
from mmdet.models.teacher.detections import Annotated, Detections, match

ALL = torch.ones(2, dtype=torch.bool)


def counted(calibration, **values):
    counts = Counts(calibration.num_classes)
    for name, value in values.items():
        counts[name].copy_(torch.as_tensor(value, dtype=torch.float64))
    calibration.update(counts)
    return calibration


def test_thresholds_are_mean_scores_by_class_and_of_all_where_a_class_is_rare():
    calibration = counted(Calibration(2), score=[3.0, 0.9], found=[4, 1])
    torch.testing.assert_close(calibration.thresholds(), torch.tensor([0.75, 3.9 / 5]))
    assert Calibration(2).thresholds().tolist() == [1, 1]  # nothing is known yet
    assert counted(Calibration(2, 0.6), score=[3.0, 0.9], found=[4, 1]).thresholds().tolist() == pytest.approx(
        [0.6] * 2
    )


def test_measure_by_hand():
    calibration = counted(Calibration(2), score=[3.0, 1.5], found=[5, 5])  # thresholds 0.6 and 0.3
    rows = torch.tensor(
        [[0.0, 0, 9, 9, 0.7, 0], [20, 20, 30, 30, 0.5, 1], [40, 40, 50, 50, 0.4, 0], [60, 60, 70, 70, 0.2, 1]]
    )
    found = Detections(rows[:, :4], rows[:, 4], rows[:, 5].long(), None)
    annotated = Annotated(rows[[0, 3], :4], torch.tensor([0, 1]), rows[:0, :4])
    counts = Counts(2)
    calibration.measure(counts, found, annotated, match(found, annotated), ALL, calibration.thresholds(), True)
    assert counts['objects'].tolist() == [1, 1] == counts['images'].tolist() == counts['found'].tolist()
    assert counts['score'].tolist() == pytest.approx([0.7, 0.2])
    assert (counts['recalled'], counts['annotated'], counts['found_above'], counts['free_above']) == (2, 2, 1, 1)
    empty = Counts(2)
    none = Annotated(annotated.boxes[:0], annotated.labels[:0], annotated.ignored)
    calibration.measure(empty, found, none, match(found, none), ALL, calibration.thresholds(), True)
    assert not empty.values.any()
    calibration.measure(empty, found, annotated, match(found, annotated), ALL, calibration.thresholds(), False)
    assert (empty['annotated'], empty['found_above'], empty['free_above']) == (2, 0, 0)


def test_it_begins_at_its_recall_after_waiting_and_not_again_ends():
    calibration = Calibration(1, recall=0.8, wait=3, decay=0.5)
    begun = [bool(counted(calibration, recalled=r, annotated=10).begun) for r in (9, 9, 6, 10, 0)]
    # at the third step (9/4 + 9/2 + 6) of (10/4 + 10/2 + 10) are recalled: 0.73
    assert begun == [False, False, False, True, True]
    assert calibration.counts.ratio('recalled', 'annotated') < 0.8


def test_brake_raises_thresholds_where_too_many_pseudo_objects_come():
    calibration = counted(Calibration(1, 0.4, brake=1.5), pseudo=8, expected=4)
    assert calibration.pressure(calibration.counts) == pytest.approx(8 / 6)
    assert calibration.thresholds().tolist() == pytest.approx([1 - 0.6 * 6 / 8])
    assert counted(Calibration(1, 0.4, brake=1.5), pseudo=6, expected=4).thresholds().tolist() == pytest.approx([0.4])
    assert counted(Calibration(1, 0.4, brake=0), pseudo=60, expected=4).thresholds().tolist() == pytest.approx([0.4])


def test_expected_pseudo_objects_by_hand():
    calibration = counted(
        Calibration(2), found_above=4, free_above=3, objects=[6, 10], images=[4, 5], recalled=1, annotated=2
    )
    two, no_boxes = torch.zeros(2, 4), torch.zeros(0, 4)
    annotated, bare = Annotated(two, torch.zeros(2), no_boxes), Annotated(no_boxes, torch.zeros(0), no_boxes)
    assert calibration.expected(annotated, ALL) == pytest.approx(2 * 3 / 4)
    assert calibration.expected(bare, ALL) == pytest.approx(6 / 4 + 10 / 5)
    assert calibration.expected(annotated, torch.tensor([False, True])) == pytest.approx(2)


def test_statistics_are_decayed_sums_in_the_state():
    calibration = counted(counted(Calibration(2, decay=0.5), pseudo=4), pseudo=1)
    assert calibration.counts['pseudo'] == 3 and calibration.measured == 2
    other = Calibration(2)
    other.load_state_dict(calibration.state_dict())
    assert other.sums.equal(calibration.sums) and other.measured == 2
