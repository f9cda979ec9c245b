"""Thresholds, start and estimates from hand-made counts."""

import pytest
import torch

from mmdet.models.teacher.calibration import Calibration, Counts, Thresholds, estimated_missing, lowest_score
from mmdet.models.teacher.detections import Annotated, Detections

NONE = torch.zeros(2, dtype=torch.bool)
ALL = ~NONE


def counted(calibration, begun=False, **values):
    counts = Counts(calibration.num_classes)
    for name, value in values.items():
        counts[name].copy_(torch.as_tensor(value, dtype=torch.float64))
    calibration.update(counts, begun)
    return calibration


def bins(numbers):
    values = torch.zeros(20, dtype=torch.float64)
    for place, number in numbers.items():
        values[place] = number
    return values


def test_lowest_score_stands_above_the_first_bin_whose_neighbourhood_has_too_few_objects():
    detections = bins({19: 4, 15: 4, 14: 4, 8: 10, 7: 10, 2: 40})
    hits = bins({19: 4, 15: 4, 14: 1, 8: 6, 7: 2, 2: 4})
    # around bin 14 there are 5 of 8, around 8 and 7 there are 8 of 20, around 2 there are 4 of 40
    rows = [part[None] for part in (hits, detections)]
    scores = [float(lowest_score(*rows, precision)) for precision in (0.6, 0.3, 0.1, 0.7)]
    # bin 13 sees one of four, though it has no detection of its own; bins 6 to 9 see 2, 8, 8, 6 of 10, 20, 20, 10
    assert scores == pytest.approx([0.7, 0.7, 0.05, 0.8])
    assert lowest_score(0 * rows[0], rows[1], 0.1) == 1  # nothing was found
    few = bins({5: 2})[None]
    assert lowest_score(bins({19: 1})[None], few, 0.5) == pytest.approx(0.05)  # two detections tell nothing


def test_missing_objects_are_estimated_from_the_surest_detections():
    """Of 40 found objects 10 are above 0.8, 20 above 0.5; of free detections 6, 20, and 80 in all."""
    found, free = bins({16: 10, 10: 10, 4: 20}), bins({16: 6, 10: 14, 4: 60})
    assert estimated_missing(found, free) == pytest.approx(0.6)
    # two objects of forty are too few to tell
    assert estimated_missing(bins({19: 2, 4: 38}), bins({4: 20})) == pytest.approx(0.5)
    assert estimated_missing(bins({19: 5}), bins({4: 20})) == 0


def test_thresholds_of_annotated_classes_follow_from_what_is_missing():
    found, free = bins({17: 30, 9: 10}), bins({17: 15, 9: 10, 8: 40})
    calibration = counted(Calibration(1, precision=0.6, ignore_precision=0.1), found=found[None], free=free[None])
    assert calibration.missing_ratio == pytest.approx(0.5)
    # 0.5 * 30 of 15 are objects at 0.85; 5 of 10 or of 50 around 0.45; none of 40 below
    limits = calibration.thresholds(calibration.counts).of_image(NONE[:1])
    torch.testing.assert_close(limits, torch.tensor([[0.55], [0.4]]))
    fixed = Calibration(1, score_thr=0.6, ignore_thr=0.5)
    torch.testing.assert_close(fixed.thresholds(fixed.counts).of_image(ALL[:1]), torch.tensor([[0.6], [0.3]]))
    unknown = Calibration(1)
    assert unknown.thresholds(unknown.counts).of_image(NONE[:1]).tolist() == [[1], [1]]


def test_rare_classes_have_the_thresholds_of_all():
    found = torch.stack([bins({15: 30}), bins({5: 2})])
    free = torch.stack([bins({15: 30, 5: 60}), bins({5: 40})])
    calibration = counted(Calibration(2), found=found, free=free)
    limits = calibration.thresholds(calibration.counts).annotated
    assert limits[0].tolist() == pytest.approx([0.35, 0.35])


def test_bare_images_should_have_as_many_objects_of_a_score_as_annotated_ones():
    """In 10 images are 30 objects, with as many missing ones 60: 6 an image; 5 bare images should have 30."""
    values = dict(
        found=bins({15: 30})[None], free=bins({15: 30})[None], images=[10], bare_images=[5], objects=[30],
        bare=bins({15: 36, 5: 40})[None],
    )  # fmt: skip
    calibration = counted(Calibration(1), **values)
    assert calibration.missing_ratio == 1
    assert calibration.thresholds(calibration.counts).of_image(ALL[:1])[0].tolist() == pytest.approx([0.35])
    calibration = counted(Calibration(1), **values | dict(bare=bins({15: 60})[None]))  # mistakes have come
    assert calibration.thresholds(calibration.counts).of_image(ALL[:1])[0].tolist() == pytest.approx([0.85])
    # of images that are complete nothing is missing: 30 objects in 10 images are 15 in 5
    whole = dict(values, found_whole=values['found'], found=bins({})[None], bare=bins({15: 15, 5: 40})[None])
    calibration = counted(Calibration(1), **whole)
    assert calibration.thresholds(calibration.counts).of_image(ALL[:1])[0].tolist() == pytest.approx([0.35])


def test_bare_images_are_trusted_no_further_than_images_in_which_mistakes_are_known():
    """By number all of 30 detections could be objects; where all are annotated two of three are, or one of two."""
    values = dict(found_whole=bins({15: 30})[None], images=[10], bare_images=[10], bare=bins({15: 30})[None])
    for mistakes, threshold in ((15, 0.05), (30, 0.85)):
        free_whole = bins({15: mistakes, 3: 100})[None]
        calibration = counted(Calibration(1, precision=0.6), **values, free_whole=free_whole)
        limits = calibration.thresholds(calibration.counts).of_image(ALL[:1])
        assert limits[0].tolist() == pytest.approx([threshold])


def test_mistakes_that_were_learnt_raise_thresholds_as_what_is_missing_stands_fast():
    values = dict(found=bins({15: 30})[None], free=bins({15: 30})[None])
    calibration = counted(Calibration(1, decay=0.0), **values)
    assert calibration.thresholds(calibration.counts).annotated[0].tolist() == pytest.approx([0.05])
    counted(calibration, begun=True, **values | dict(free=bins({15: 60})[None]))
    assert calibration.missing_ratio == 1
    assert calibration.thresholds(calibration.counts).annotated[0].tolist() == pytest.approx([0.85])


def test_a_missing_fraction_that_is_given_is_not_estimated():
    values = dict(found=bins({15: 30})[None], free=bins({15: 30})[None])
    calibration = counted(Calibration(1, missing=0.25), **values)
    assert calibration.missing_ratio == pytest.approx(1 / 3)  # three of four objects are annotated
    assert calibration.thresholds(calibration.counts).annotated[:, 0].tolist() == pytest.approx([0.85, 0.05])


def test_measure_by_hand():
    rows = torch.tensor([[20.0, 20, 30, 30, 0.5, 1], [40, 40, 50, 50, 0.4, 0]])
    free = Detections(rows[:, :4], rows[:, 4], rows[:, 5].long(), None)
    annotated = Annotated(torch.zeros(3, 4), torch.tensor([0, 0, 1]), rows[:0, :4])
    scores, limits = torch.tensor([0.7, 0.2, 0.0]), Thresholds(torch.full((2, 2), 0.6), torch.full((2, 2), 0.1))
    calibration, counts = Calibration(2), Counts(2)
    calibration.measure(counts, free, annotated, scores, NONE, ALL, limits)
    assert counts['objects'].tolist() == [2, 1] and counts['images'].tolist() == [1, 1]
    assert counts['found'].nonzero().tolist() == [[0, 4], [0, 14]] and counts['found'].sum() == 2
    assert counts['free'].nonzero().tolist() == [[0, 8], [1, 10]] and not counts['bare'].any()
    assert (counts['recalled'], counts['annotated']) == (1, 3)
    complete = Counts(2)
    calibration.measure(complete, free, annotated, scores, NONE, NONE, limits)
    assert complete['found_whole'].equal(counts['found']) and not complete['free'].any() and complete['images'][0] == 1
    assert complete['recalled'] == 2  # above 0.1, the threshold of images without annotations
    half, second = Counts(2), torch.tensor([False, True])  # only the first class is labelled, and all of it is
    calibration.measure(half, free, annotated, scores, second, second, limits)
    assert half['bare'].nonzero().tolist() == [[1, 10]] and not half['free'].any() and not half['found'].any()
    assert half['found_whole'].equal(counts['found']) and half['free_whole'].nonzero().tolist() == [[0, 8]]
    assert half['bare_images'].tolist() == [0, 1] and half['images'].tolist() == [1, 0]
    empty = Counts(2)
    none = Annotated(annotated.boxes[:0], annotated.labels[:0], annotated.ignored)
    calibration.measure(empty, free, none, scores[:0], ALL, ALL, limits)
    assert empty['bare'].sum() == 2 and not empty['images'].any() and not empty['annotated']


def test_it_begins_at_its_recall_after_waiting_and_not_again_ends():
    calibration = Calibration(1, recall=0.8, wait=3, decay=0.5)
    begun = [bool(counted(calibration, recalled=r, annotated=10).begun) for r in (9, 9, 6, 10, 0)]
    # at the third step (9/4 + 9/2 + 6) of (10/4 + 10/2 + 10) are recalled: 0.73
    assert begun == [False, False, False, True, True]
    assert calibration.counts.ratio('recalled', 'annotated') < 0.8


def test_expected_pseudo_objects_by_hand():
    found, free = bins({15: 40})[None].repeat(2, 1), bins({15: 30})[None].repeat(2, 1)
    calibration = counted(Calibration(2), found=found, free=free, objects=[6, 10], images=[4, 5])
    two = Annotated(torch.zeros(2, 4), torch.tensor([0, 1]), torch.zeros(0, 4))
    bare = Annotated(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), torch.zeros(0, 4))
    assert calibration.expected(calibration.counts, two, ALL, NONE) == pytest.approx(2 * 3 / 4)
    assert calibration.expected(calibration.counts, bare, ALL, ALL) == pytest.approx(6 / 4 + 10 / 5)
    second = torch.tensor([False, True])
    first_only = Annotated(two.boxes[:1], two.labels[:1], two.ignored)
    assert calibration.expected(calibration.counts, first_only, second, second) == pytest.approx(2)


def test_statistics_are_decayed_sums_in_the_state():
    calibration = counted(counted(Calibration(2, decay=0.5), pseudo=4), pseudo=1)
    assert calibration.counts['pseudo'] == 3 and calibration.measured == 2
    other = Calibration(2)
    other.load_state_dict(calibration.state_dict())
    assert other.sums.equal(calibration.sums) and other.measured == 2
