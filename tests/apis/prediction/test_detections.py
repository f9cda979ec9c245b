"""Results of detectors, of every form, as flat detections and back."""

import numpy as np
import pytest

from mmdet.apis.prediction.detections import flatten_result, to_result, to_supervision
from mmdet.core.visualization.instances import to_masks

BOXES = [np.array([[1, 2, 11, 22, 0.9], [0, 0, 1, 1, 0.2]], np.float32), np.array([[5, 5, 8, 9, 0.5]], np.float32)]
MASKS = np.zeros((3, 30, 40), bool)
MASKS[0, 2:22, 1:11], MASKS[1, 0, 0], MASKS[2, 5:9, 5:8] = True, True, True
POINTS = [np.arange(18.0).reshape(2, 3, 3), np.arange(9.0).reshape(1, 3, 3)]


def test_boxes_above_the_threshold_keep_their_class():
    found = flatten_result(BOXES, 0.5)
    assert found.boxes.tolist() == [[1, 2, 11, 22], [5, 5, 8, 9]] and found.labels.tolist() == [0, 1]
    assert len(found) == 2 and found.masks is None and found.keypoints is None
    np.testing.assert_array_equal(np.concatenate(to_result(found, 2)), np.array([BOXES[0][0], BOXES[1][0]]))


@pytest.mark.parametrize('scored', [False, True])
def test_masks_follow_their_boxes(scored):
    masks = [[MASKS[0], MASKS[1]], [MASKS[2]]]
    found = flatten_result((BOXES, (masks, [[0.1, 0.2], [0.3]]) if scored else masks), 0.5)
    np.testing.assert_array_equal(to_masks(found.masks), MASKS[[0, 2]])
    boxes, back = to_result(found, 2)
    assert [len(b) for b in boxes] == [1, 1] and (back[1][0] == MASKS[2]).all()


def test_keypoints_follow_their_boxes():
    found = flatten_result((BOXES, None, POINTS), 0.5)
    np.testing.assert_array_equal(found.keypoints, [POINTS[0][0], POINTS[1][0]])
    assert [len(points) for points in to_result(found, 2)[2]] == [1, 1]


def test_proposals_are_of_one_class():
    assert flatten_result(BOXES[0], 0.0).labels.tolist() == [0, 0]


def test_segments_of_a_panoptic_map_have_boxes():
    segments = np.full((10, 12), 2)
    segments[1:4, 2:7], segments[6:, 6:] = 1, 1000
    found = flatten_result(dict(pan_results=segments), num_classes=2)
    assert sorted(zip(found.labels.tolist(), found.boxes.tolist())) == [(0, [6, 6, 12, 10]), (1, [2, 1, 7, 4])]
    assert flatten_result(dict(pan_results=segments, ins_results=BOXES), 0.8).boxes.tolist() == [[1, 2, 11, 22]]


def test_selection_goes_through_all_fields():
    found = flatten_result((BOXES, [[MASKS[0], MASKS[1]], [MASKS[2]]], POINTS)).select(np.array([2, 0]))
    assert found.scores.tolist() == pytest.approx([0.5, 0.9]) and found.labels.tolist() == [1, 0]
    np.testing.assert_array_equal(to_masks(found.masks), MASKS[[2, 0]])
    np.testing.assert_array_equal(found.keypoints, [POINTS[1][0], POINTS[0][0]])


def test_supervision_gets_boxes_scores_masks_and_names(monkeypatch):
    supervision = pytest.importorskip('supervision')
    made = to_supervision((BOXES, [[MASKS[0], MASKS[1]], [MASKS[2]]]), ('cat', 'dog'), 0.5)
    assert isinstance(made, supervision.Detections) and made.class_id.tolist() == [0, 1]
    assert made.data['class_name'].tolist() == ['cat', 'dog'] and made.confidence.tolist() == pytest.approx([0.9, 0.5])
    np.testing.assert_array_equal(made.mask, MASKS[[0, 2]])
    assert len(to_supervision([np.zeros((0, 5))])) == 0


def test_missing_supervision_is_named(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'supervision', None)
    with pytest.raises(ImportError, match='pip install supervision'):
        to_supervision(BOXES)
