"""Kinds of mistakes, and which examples are shown."""

from types import SimpleNamespace

import numpy as np
import pytest

from mmdet.apis.report.mistakes import confusion, count_kinds, detect, examples

OBJECTS = [[0.0, 0, 20, 20], [40, 40, 60, 60], [80, 0, 90, 10]]  # of classes 0, 1, 0
IGNORED = [[0.0, 80, 100, 100]]
DETS = {
    0: [
        *([0, 0, 20, 20, 0.9], [1, 1, 20, 20, 0.8]),  # correct, duplicate
        *([40, 40, 60, 60, 0.7], [10, 5, 30, 25, 0.6]),  # wrong class; IoU 0.23 with the first object
        *([200, 200, 220, 220, 0.5], [5, 82, 20, 95, 0.4]),  # background; in the region to ignore
    ],
    1: [[40, 40, 60, 60, 0.2]],  # below its threshold
}


def sample(number=0):
    annotation = dict(
        bboxes=np.array(OBJECTS, np.float32), labels=np.array([0, 1, 0]), bboxes_ignore=np.array(IGNORED, np.float32)
    )
    boxes = [np.array(DETS[0], np.float32), np.array(DETS[1], np.float32)]
    return SimpleNamespace(number=number, annotation=annotation, boxes=boxes, class_names=('a', 'b'))


@pytest.fixture
def detected():
    return detect(sample(), [0.3, 0.3])


def test_kinds_of_all_detections(detected):
    assert detected.kinds == ['correct', 'duplicate', 'wrong class', 'poorly placed', 'background', None]
    assert detected.objects.tolist() == [0, 0, 1, 0, -1, -1]
    assert detected.overlaps[:4] == pytest.approx([1, 361 / 400, 1, 150 / 650])
    assert detected.missed.tolist() == [False, False, True]


def test_counts_and_confusion_agree(detected):
    first, second = count_kinds([detected], 2)
    assert list(first.values()) == [1, 1, 1, 1, 1, 1] and sum(second.values()) == 0
    # rows: objects of a, b, background; of 'a' one is found and one missed, 'b' is taken for 'a'
    assert confusion([detected], 2).tolist() == [[1, 0, 1], [1, 0, 0], [3, 0, 0]]


def test_examples_are_the_worst_and_the_best(detected):
    shown = examples([detected], 2)
    assert [(e.kind, e.score and round(e.score, 2)) for e in shown] == [
        *(('duplicate', 0.8), ('wrong class', 0.7)),
        *(('missed', None), ('correct', 0.9)),
    ]
    assert shown[1].other == 1 and shown[2].box == (80, 0, 90, 10)
    low = detect(sample(), [0.95, 0.3])
    assert [(e.label, round(e.score or 0, 2)) for e in examples([low], 9)] == [(0, 0.9), (1, 0.2), (0, 0.0)]


def test_examples_come_from_several_images():
    shown = examples([detect(sample(number), [0.3, 0.3]) for number in range(3)], 4)
    false = [e.image for e in shown if e.kind not in ('missed', 'correct')]
    assert len(false) == 4 and max(map(false.count, false)) <= 3 and len(set(false)) > 1


def test_images_without_objects_or_detections_have_no_examples():
    empty = sample()
    empty.annotation.update(bboxes=np.zeros((0, 4)), labels=np.zeros(0, int), bboxes_ignore=None)
    assert {e.kind for e in examples([detect(empty, [0.3, 0.3])], 9)} == {'background'}
    empty.boxes = [np.zeros((0, 5), np.float32)] * 2
    assert examples([detect(empty, [0.3, 0.3])], 9) == []
