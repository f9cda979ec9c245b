"""Which detections count as found, and which as places where nothing is annotated."""

import numpy as np
import pytest
from incomplete_shapes import detections

from mmdet.apis.label_errors import LabelledImage, detections_of, match_image
from mmdet.apis.label_errors.matching import FREE, MATCHED, OTHER
from mmdet.apis.launch import UserError
from mmdet.apis.report.samples import ResultsError


def image(boxes, labels, ignored=()):
    boxes, ignored = (np.asarray(part, np.float32).reshape(-1, 4) for part in (boxes, ignored))
    return LabelledImage('a', 1, 'a.png', boxes, np.asarray(labels, np.int64), np.arange(len(boxes)), ignored)


def test_best_detection_at_an_object_is_matched_whatever_its_class():
    found = detections(
        (10, 10, 30, 30, 0.6, 0), (10, 10, 31, 32, 0.9, 2), (26, 10, 46, 30, 0.5, 0), (60, 60, 80, 80, 0.4, 1)
    )
    match = match_image(image([(10, 10, 30, 30)], [0]), found)
    # the first repeats the second; the third touches the object (IoU 0.11) and nothing else
    assert match.found.scores.tolist() == pytest.approx([0.9, 0.5, 0.4])
    assert match.kind.tolist() == [MATCHED, FREE, FREE]
    assert match.overlap.tolist() == pytest.approx([400 / 462, 80 / 720, 0])


def test_detection_beside_a_better_one_does_not_count_at_an_object_nor_where_nothing_is():
    at = detections((10, 10, 30, 30, 0.9, 0), (20, 10, 40, 30, 0.8, 0))  # IoU 1/3
    assert match_image(image([(10, 10, 30, 30)], [0]), at).kind.tolist() == [MATCHED, OTHER]
    assert match_image(image([], []), at).kind.tolist() == [FREE, OTHER]


def test_detection_in_an_ignore_region_says_nothing():
    found = detections((10, 10, 30, 30, 0.9, 0), (60, 60, 80, 80, 0.8, 1))
    match = match_image(image([], [], ignored=[(0, 0, 50, 50)]), found)
    assert match.kind.tolist() == [OTHER, FREE] and match.nearest.tolist() == [-1, -1]


def test_image_without_detections():
    match = match_image(image([(10, 10, 30, 30)], [0]), detections())
    assert match.kind.shape == (0,) and match.overlap.shape == (0,)


def test_results_of_all_forms_are_read_best_first():
    rows = [np.asarray([[0, 0, 9, 9, 0.2]]), np.asarray([[5, 5, 9, 9, 0.7], [1, 1, 9, 9, 0.4]])]
    for result in (rows, (rows, [[], []]), dict(ins_results=(rows, [[], []]))):
        found = detections_of(result)
        assert found.labels.tolist() == [1, 1, 0] and found.scores.tolist() == pytest.approx([0.7, 0.4, 0.2])
    with pytest.raises(UserError, match='proposals without classes'):
        detections_of(np.zeros((3, 5)))
    for wrong in (None, ['a'], [np.zeros((1, 6))], [np.full((1, 5), np.nan)]):
        with pytest.raises(ResultsError):
            detections_of(wrong)
