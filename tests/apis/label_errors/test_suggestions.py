"""Planted errors are found, and sound labels are left alone."""

import sys

import numpy as np
import pytest
from incomplete_shapes import CLASSES, corners, detections

from mmdet.apis.label_errors import LabelledImage, MissingPackageError, score_images
from mmdet.apis.label_errors.calibration import Calibration
from mmdet.apis.label_errors.missing_rate import Group
from mmdet.core.evaluation.bbox_overlaps import bbox_overlaps


def suggested(world, source, kind):
    """(report, suggestion) of a kind, the most probable first."""
    pairs = [
        (r, s) for r in world.findings.reports for s in r.suggestions if (r.image.source, s.kind) == (source, kind)
    ]
    return sorted(pairs, key=lambda pair: -pair[1].probability)


def test_missing_boxes_are_suggested_where_objects_are(world):
    rows = {row['id']: row for row in world.complete['real']['annotations']}
    lost = [rows[i] for i in world.lost]
    right = 0
    pairs = suggested(world, 'real', 'missing')
    for report, suggestion in pairs:
        own = [row for row in lost if row['image_id'] == report.image.image_id]
        boxes = np.asarray([corners(row) for row in own]).reshape(-1, 4)
        right += len(own) > 0 and bbox_overlaps(np.asarray([suggestion.box]), boxes).max() > 0.5
    assert right / len(pairs) > 0.8 and right / len(lost) > 0.5
    expected = sum(suggestion.probability for _, suggestion in pairs)
    assert abs(expected - right) < 0.25 * right  # probabilities mean what they say


def test_boxes_of_another_class_are_suggested_with_the_right_one(world):
    pairs = suggested(world, 'real', 'swapped')
    right = [s for _, s in pairs if world.swapped.get(s.ann_id) == s.label + 1]
    assert len(right) >= 6 and len(right) / len(pairs) > 0.4  # one in twenty detections has a wrong class
    assert all(s.box == s.old_box and s.old_label == (s.label + 1) % 3 for s in right)


def test_boxes_in_another_place_are_suggested_where_they_belong(world):
    pairs = suggested(world, 'real', 'misplaced')
    right = [s for _, s in pairs if s.ann_id in world.moved]
    assert len(right) >= 5 and len(right) / len(pairs) > 0.5
    for s in right:
        x, y, w, h = world.moved[s.ann_id]
        true = np.asarray([[x, y, x + w, y + h]])
        assert bbox_overlaps(np.asarray([s.box]), true) > bbox_overlaps(np.asarray([s.old_box]), true)


def test_sound_labels_get_few_suggestions(world):
    clean = sum(len(r.suggestions) for r in world.findings.reports if r.image.source == 'clean')
    flawed = sum(len(r.suggestions) for r in world.findings.reports if r.image.source == 'real')
    assert clean / 60 < 0.3 * flawed / 120


def test_images_with_errors_come_first(world):
    image_of = {row['id']: row['image_id'] for row in world.complete['real']['annotations']}
    flawed = {('real', image_of[i]) for i in (*world.lost, *world.swapped, *world.moved)}
    hits = [(r.image.source, r.image.image_id) in flawed for r in world.findings.reports]
    assert sum(hits) < 0.4 * len(hits)  # of all images
    assert sum(hits[:20]) >= 16 and sum(hits[:40]) >= 28
    assert sum(hits[-60:]) <= 12


def image(boxes, labels):
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    return LabelledImage('a', 1, 'a', boxes, np.asarray(labels, np.int64), np.arange(len(boxes)), np.zeros((0, 4)))


def test_scores_name_the_kind_of_error():
    box, other = (10, 10, 40, 40), (60, 60, 90, 90)
    images = [image([box, other], [0, 1]), image([box], [0]), image([box, other], [0, 2]), image([], [])]
    found = [detections((*box, 0.95, 0), (*other, 0.95, 1))] * 3 + [detections()]
    scores = score_images(images, found, len(CLASSES))
    # the second lacks the other box, the third calls it a triangle; an empty image that stays empty is sound
    assert scores.quality[[0, 3]].tolist() == pytest.approx([1, 1], abs=1e-3)
    assert max(scores.quality[1:3]) < 0.5
    assert scores.missing[1] < 0.1 and scores.missing[[0, 2, 3]].tolist() == [1, 1, 1]
    assert scores.swapped[2] < 0.1 and scores.swapped_boxes[2].argmin() == 1
    assert scores.misplaced[2] == 1  # nothing of its class is there


def test_missing_cleanlab_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, 'cleanlab.object_detection', None)
    with pytest.raises(MissingPackageError, match='pip install "cleanlab'):
        score_images([image([], [])], [detections()], len(CLASSES))


def test_calibrated_probabilities_are_fractions_of_what_was_right():
    # score 0.9: 6 of 10 at annotated objects, one of them of another class; 0.1: 2 of 10
    free = np.asarray([False] * 6 + [True] * 4 + [False] * 2 + [True] * 8)
    same = ~free & np.asarray([False] + [True] * 19)
    scores = np.repeat([0.9, 0.1], 10)
    curve = Calibration(Group(scores, free, same, np.zeros(20, int), np.zeros(8, int)), rate=0.2)
    asked = np.asarray([0.9, 0.1, 0.99])
    assert curve.right(asked).tolist() == pytest.approx([0.5 * 1.25, 0.2 * 1.25, 0.5 * 1.25])
    # of 4 free ones at 0.9, a quarter of 5 are right
    assert curve.right_about_missing(asked).tolist() == pytest.approx([0.25 * 5 / 4, 0.25 * 2 / 8, 0.25 * 5 / 4])
