import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mmdet.core.evaluation.mean_ap import average_precision, eval_map
from mmdet.core.evaluation.tpfp import tpfp_default, tpfp_imagenet, tpfp_openimages

NONE = np.zeros((0, 5), np.float32)


def boxes(*rows):
    return np.asarray(rows, np.float32).reshape(-1, 5 if rows and len(rows[0]) == 5 else 4)


def test_average_precision_by_hand():
    recalls, precisions = np.asarray([0.5, 0.5, 1.0]), np.asarray([1.0, 0.5, 2 / 3])
    assert average_precision(recalls, precisions) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert average_precision(recalls, precisions, '11points') == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)
    both = average_precision(np.stack([recalls, recalls]), np.stack([precisions, precisions * 0]))
    assert_allclose(both, [5 / 6, 0])
    assert average_precision(np.zeros(0), np.zeros(0)) == 0
    with pytest.raises(ValueError, match="mode: expected one of 'area', '11points', got 'x'"):
        average_precision(recalls, precisions, 'x')
    with pytest.raises(ValueError, match='expected one shape'):
        average_precision(recalls, precisions[:2])


def test_the_best_detection_of_an_object_is_right():
    dets = boxes([0, 0, 10, 10, 0.5], [0, 0, 10, 9, 0.8], [50, 50, 60, 60, 0.9], [30, 0, 40, 10, 0.7])
    gts, ignored = boxes([0, 0, 10, 10], [80, 80, 90, 90]), boxes([30, 0, 40, 10])
    tp, fp = tpfp_default(dets, gts, ignored)
    assert_array_equal(tp, [[0, 1, 0, 0]])
    assert_array_equal(fp, [[1, 0, 1, 0]])  # the last hits an ignored object


def test_area_ranges_leave_others_out():
    dets = boxes([0, 0, 10, 10, 0.9], [20, 0, 50, 30, 0.8], [60, 0, 65, 5, 0.7])
    gts = boxes([0, 0, 10, 10], [20, 0, 50, 30])
    tp, fp = tpfp_default(dets, gts, area_ranges=[(0, 400), (400, 1600)])
    assert_array_equal(tp, [[1, 0, 0], [0, 1, 0]])
    assert_array_equal(fp, [[0, 0, 1], [0, 0, 0]])


def test_without_objects_every_detection_is_wrong():
    dets = boxes([0, 0, 10, 10, 0.9])
    for rule in (tpfp_default, tpfp_imagenet):
        tp, fp = rule(dets, np.zeros((0, 4)), None)
        assert (tp.tolist(), fp.tolist()) == ([[0]], [[1]])
        assert [flags.shape for flags in rule(NONE, boxes([0, 0, 10, 10]))] == [(1, 0), (1, 0)]


def test_legacy_corners_are_inclusive():
    dets, gts = boxes([0, 0, 9, 4, 0.9]), boxes([0, 0, 9, 9])  # 50 of 100 px, or 36 of 81
    assert tpfp_default(dets, gts, iou_thr=0.5, use_legacy_coordinate=True)[0].tolist() == [[1]]
    assert tpfp_default(dets, gts, iou_thr=0.5)[0].tolist() == [[0]]


def test_imagenet_takes_the_best_free_object():
    # both detections overlap the left object most; the second is given the right one
    gts = boxes([1, 1, 101, 101], [41, 1, 141, 101])
    dets = boxes([0, 0, 100, 100, 0.9], [10, 0, 110, 100, 0.8], [10, 0, 110, 100, 0.7])
    tp, fp = tpfp_imagenet(dets, gts)
    assert_array_equal(tp, [[1, 1, 0]])
    assert_array_equal(fp, [[0, 0, 1]])
    assert tpfp_default(dets, gts - 1)[0].tolist() == [[1, 0, 0]]
    small = boxes([0, 0, 10, 4, 0.9])  # IoU 0.4; the threshold of a 10 x 10 object is 100 / 400
    assert tpfp_imagenet(small, boxes([1, 1, 11, 11]))[0].tolist() == [[1]]


def test_openimages_counts_a_group_once():
    gts = boxes([0, 0, 100, 100], [200, 0, 210, 10], [300, 300, 400, 400])
    dets = boxes([0, 0, 10, 10, 0.6], [20, 20, 30, 30, 0.9], [200, 0, 210, 10, 0.5], [500, 0, 510, 10, 0.4])
    groups = np.asarray([True, False, True])
    tp, fp, kept = tpfp_openimages(dets, gts, gt_bboxes_group_of=groups)
    assert_array_equal(tp, [[1, 0, 1, 0]])
    assert_array_equal(fp, [[0, 1, 0, 1]])
    assert_allclose(kept, np.concatenate([dets[2:], dets[1:2], np.zeros((1, 5))]))
    tp, fp, kept = tpfp_openimages(dets, gts, gt_bboxes_group_of=groups, use_group_of=False)
    assert_array_equal(tp, [[0, 0, 1, 0]])
    assert len(kept) == 4


def half_right():
    """Two classes: of the first both objects are found, of the second one of two, and one detection is wrong."""
    results = [
        [boxes([0, 0, 10, 10, 0.9]), boxes([20, 20, 40, 40, 0.8], [60, 60, 70, 70, 0.9])],
        [boxes([5, 5, 15, 15, 0.7]), NONE],
    ]
    annotations = [
        dict(bboxes=boxes([0, 0, 10, 10], [20, 20, 40, 40]), labels=np.asarray([0, 1])),
        dict(bboxes=boxes([5, 5, 15, 15], [50, 50, 60, 60]), labels=np.asarray([0, 1])),
    ]
    return results, annotations


def test_eval_map_by_hand(capsys):
    mean, (first, second) = eval_map(*half_right(), dataset=['cat', 'dog'])
    assert (first['num_gts'], first['num_dets'], first['ap']) == (2, 2, 1.0)
    assert_allclose(second['recall'], [0, 0.5])
    assert_allclose(second['precision'], [0, 0.5])
    assert mean == pytest.approx((1 + 0.25) / 2)
    assert '| dog   | 2   | 2    | 0.500  | 0.250 |' in capsys.readouterr().out


def test_eval_map_of_scale_ranges():
    means, results = eval_map(*half_right(), scale_ranges=[(0, 15), (15, 50)], logger='silent')
    assert_array_equal(results[1]['num_gts'], [1, 1])
    assert_allclose(results[1]['ap'], [0, 1])
    assert means == pytest.approx([0.5, 1.0])  # the first class has small objects only


def test_groups_change_the_mean():
    results = [[boxes([0, 0, 10, 10, 0.9], [20, 0, 30, 10, 0.8])]]
    annotations = [dict(bboxes=boxes([0, 0, 50, 50]), labels=np.zeros(1, int), gt_is_group_ofs=np.ones(1, bool))]
    alone = dict(logger='silent', dataset='oid_v6')
    assert eval_map(results, annotations, use_group_of=True, ioa_thr=0.5, **alone)[0] == 1.0
    assert eval_map(results, annotations, use_group_of=False, **alone)[0] == 0.0


def test_nothing_at_all():
    annotations = [dict(bboxes=np.zeros((0, 4)), labels=np.zeros(0, int))]
    assert eval_map([[NONE]], annotations, logger='silent')[0] == 0.0
    assert eval_map([], [], scale_ranges=[(0, 9)], logger='silent') == ([0.0], [])
    with pytest.raises(ValueError, match='results of 1 images but annotations of 0'):
        eval_map([[NONE]], [])
    with pytest.raises(TypeError, match='tpfp_fn: expected a function or None, got str'):
        eval_map([[NONE]], annotations, tpfp_fn='x')
