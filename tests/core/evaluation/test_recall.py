import numpy as np
import pytest
from numpy.testing import assert_allclose

from mmdet.core.evaluation.bbox_overlaps import bbox_overlaps
from mmdet.core.evaluation.recall import eval_recalls


def test_overlaps_by_hand():
    first, second = np.asarray([[0, 0, 10, 10]]), np.asarray([[5, 0, 15, 10], [0, 0, 10, 10], [20, 20, 30, 30]])
    assert_allclose(bbox_overlaps(first, second), [[1 / 3, 1, 0]], rtol=1e-6)
    assert_allclose(bbox_overlaps(first, second, 'iof'), [[0.5, 1, 0]], rtol=1e-6)
    assert_allclose(bbox_overlaps(first, second, use_legacy_coordinate=True), [[66 / 176, 1, 0]], rtol=1e-6)
    assert bbox_overlaps(first, np.zeros((0, 4))).shape == (1, 0)
    assert bbox_overlaps(np.zeros((0, 4)), second).shape == (0, 3)
    assert_allclose(bbox_overlaps(np.zeros((1, 4)), np.zeros((1, 4))), [[0]])
    with pytest.raises(ValueError, match="mode: expected 'iou' or 'iof', got 'giou'"):
        bbox_overlaps(first, second, 'giou')


def test_recall_of_images_with_different_numbers_of_boxes():
    gts = [np.asarray([[0, 0, 10, 10], [20, 0, 30, 10]]), np.zeros((0, 4)), np.asarray([[0, 0, 10, 10]])]
    proposals = [
        np.asarray([[0, 0, 10, 5, 0.2], [0, 0, 10, 10, 0.9], [20, 0, 30, 6, 0.5]]),  # sorted: 0.9, 0.5, 0.2
        np.zeros((0, 5)),
        np.asarray([[50, 50, 60, 60, 0.9]]),
    ]
    recalls = eval_recalls(gts, proposals, [1, 2], [0.5, 0.7], logger='silent')
    assert_allclose(recalls, [[1 / 3, 1 / 3], [2 / 3, 1 / 3]])


def test_a_proposal_serves_one_object():
    gts = [np.asarray([[0, 0, 10, 10], [0, 0, 10, 9]])]
    assert_allclose(eval_recalls(gts, [np.asarray([[0, 0, 10, 10]])], 5, 0.5, logger='silent'), [[0.5]])


def test_nothing_to_find_and_defaults(capsys):
    assert_allclose(eval_recalls([np.zeros((0, 4))], [np.zeros((0, 5))], logger='silent'), [[0]])
    assert_allclose(eval_recalls([None], [[]], logger='silent'), [[0]])
    assert_allclose(eval_recalls([np.asarray([[0, 0, 9, 9]])], [np.asarray([[0, 0, 9, 9.0]] * 3)]), [[1]])
    assert '| 3         | 1.000    |' in capsys.readouterr().out
    with pytest.raises(ValueError, match='1 images with objects but proposals for 2'):
        eval_recalls([None], [[], []])
