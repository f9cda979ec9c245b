"""Counting which class is taken for which, against numbers counted by hand and a loop over detections."""

import numpy as np
import pytest

from mmdet.core.evaluation.bbox_overlaps import bbox_overlaps
from mmdet.core.evaluation.confusion_matrix import confusion_matrix, greedy_matches, match_image, normalised

NONE = np.zeros((0, 5), np.float32)


def box(x, y=0, score=None):
    """A box of 10 x 10 px."""
    return [x, y, x + 10, y + 10] + ([] if score is None else [score])


def result(*per_class):
    return [np.array(boxes, np.float32).reshape(-1, 5) for boxes in per_class]


def truth(boxes, labels, ignored=()):
    return dict(
        bboxes=np.array(boxes, np.float32).reshape(-1, 4),
        labels=np.array(labels, np.int64),
        bboxes_ignore=np.array(ignored, np.float32).reshape(-1, 4),
    )


def test_confusion_every_kind_of_detection_is_counted_once():
    # class 0: one found twice (the second is false), one missed; class 1: one taken for class 0, and a find in the void
    results = [result([box(0, score=0.9), box(1, score=0.8), box(40, score=0.7)], [box(80, score=0.6)])]
    annotations = [truth([box(0), box(20), box(40)], [0, 0, 1])]
    assert confusion_matrix(results, annotations, 2).tolist() == [[1, 0, 1], [1, 0, 0], [1, 1, 0]]


def test_confusion_right_class_goes_before_a_closer_detection_of_another():
    # the better placed and better scored detection is of the wrong class
    results = [result([box(1, score=0.5)], [box(0, score=0.9)])]
    assert confusion_matrix(results, [truth([box(0)], [0])], 2).tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_confusion_one_class():
    results = [result([box(0, score=0.9), box(50, score=0.9)]), [NONE]]
    annotations = [truth([box(0)], [0]), truth([box(0)], [0])]
    assert confusion_matrix(results, annotations, 1).tolist() == [[1, 1], [1, 0]]


def test_confusion_without_anything_is_zero():
    assert confusion_matrix([[NONE, NONE]], [truth([], [])], 2).tolist() == [[0] * 3] * 3
    assert confusion_matrix([], [], 1).tolist() == [[0, 0], [0, 0]]


def test_confusion_low_scores_are_left_out_and_masks_passed_over():
    pair = (result([box(0, score=0.29), box(0, score=0.3)]), [['mask', 'mask']])
    # float32 0.3 is a little more than 0.3
    assert confusion_matrix([pair], [truth([box(0)], [0])], 1, score_thr=0.3).tolist() == [[1, 0], [0, 0]]


def test_confusion_detection_in_a_crowd_is_not_counted_but_one_of_an_object_is():
    crowd = [0, 0, 60, 60]
    results = [result([box(0, score=0.9), box(30, score=0.8)])]
    assert confusion_matrix(results, [truth([box(0)], [0], [crowd])], 1).tolist() == [[1, 0], [0, 0]]


def test_confusion_nms_drops_the_second_of_two():
    results = [result([box(0, score=0.9), box(1, score=0.8)])]
    annotations = [truth([box(0)], [0])]
    assert confusion_matrix(results, annotations, 1).tolist() == [[1, 0], [1, 0]]
    assert confusion_matrix(results, annotations, 1, nms_iou_thr=0.5).tolist() == [[1, 0], [0, 0]]


def test_confusion_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match='1 classes, the data set 2'):
        confusion_matrix([[NONE]], [truth([], [])], 2)
    with pytest.raises(ValueError, match='1 images but annotations of 0'):
        confusion_matrix([[NONE]], [], 1)
    with pytest.raises(TypeError, match='ndarray'):
        confusion_matrix([NONE], [truth([], [])], 1)


def greedy_loop(overlaps, scores, allowed):
    matched, free = np.full(len(scores), -1), allowed.copy()
    for det in np.argsort(-scores, kind='stable'):
        if free[det].any():
            matched[det] = np.where(free[det], overlaps[det], -1).argmax()
            free[:, matched[det]] = False
    return matched


@pytest.mark.parametrize('seed', range(8))
def test_greedy_matches_equal_a_loop_over_detections(seed):
    rng = np.random.default_rng(seed)
    overlaps, scores = rng.random((12, 9)), rng.random(12).round(1)
    allowed = overlaps > 0.4
    assert greedy_matches(overlaps, scores, allowed).tolist() == greedy_loop(overlaps, scores, allowed).tolist()


@pytest.mark.parametrize('seed', range(4))
def test_confusion_sums_are_numbers_of_objects_and_detections(seed):
    rng = np.random.default_rng(seed)
    dets = np.hstack([np.array([box(*xy) for xy in rng.uniform(0, 40, (30, 2))]), rng.random((30, 1))])
    det_labels, gts = rng.integers(0, 3, 30), np.array([box(*xy) for xy in rng.uniform(0, 40, (20, 2))])
    gt_labels = rng.integers(0, 3, 20)
    matrix = confusion_matrix([[dets[det_labels == k] for k in range(3)]], [truth(gts, gt_labels)], 3, score_thr=0)
    assert matrix[:3].sum(1).tolist() == np.bincount(gt_labels, minlength=3).tolist()
    assert matrix[:, :3].sum(0).tolist() == np.bincount(det_labels, minlength=3).tolist()
    matched = match_image(dets, det_labels, gts, gt_labels)
    taken = matched[matched >= 0]
    assert len(set(taken)) == len(taken) and (bbox_overlaps(dets[:, :4], gts)[matched >= 0, taken] >= 0.5).all()


def test_normalised_rows_columns_and_numbers():
    matrix = np.array([[3, 1], [0, 0]])
    assert normalised(matrix).tolist() == [[0.75, 0.25], [0, 0]]
    assert normalised(matrix, 'column').tolist() == [[1, 1], [0, 0]]
    assert normalised(matrix, 'none').tolist() == matrix.tolist()
    with pytest.raises(ValueError, match="got 'rows'"):
        normalised(matrix, 'rows')
