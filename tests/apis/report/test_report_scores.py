"""AP, curves and thresholds of classes, against numbers worked out by hand and against COCO's."""

import csv
import json
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from mmcv import Config

from mmdet.apis.report.class_scores import (
    ThresholdFileError,
    class_scores,
    curves_csv,
    thresholds_by_class,
    write_thresholds,
)
from mmdet.apis.report.samples import samples
from mmdet.apis.results import build_split
from mmdet.datasets.metrics.best_threshold import Curve, best_threshold

BOX = [10.0, 10, 30, 30]
FAR = [50.0, 50, 70, 70]


def image(boxes, gts, ignored=(), classes=('a',)):
    """One image; ``boxes`` are of the first class, ``gts`` too."""
    ann = dict(bboxes=np.array(gts).reshape(-1, 4), labels=np.zeros(len(gts), int))
    ann['bboxes_ignore'] = np.array(ignored).reshape(-1, 4)
    found = [np.array(boxes, np.float64).reshape(-1, 5)] + [np.zeros((0, 5))] * (len(classes) - 1)
    return SimpleNamespace(annotation=ann, boxes=found, class_names=classes)


def test_scores_of_one_class_by_hand():
    # by score: true 0.9, false 0.8, true 0.4, false 0.2; two of three objects are found
    images = [image([[*BOX, 0.9], [*FAR, 0.8]], [BOX]), image([[*BOX, 0.4], [*FAR, 0.2]], [BOX, [80.0, 80, 90, 90]])]
    (own,) = class_scores(images)
    assert (own.objects, own.detections) == (3, 4)
    assert own.curve.precisions == pytest.approx([1, 1 / 2, 2 / 3, 2 / 4])
    assert own.curve.recalls == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3])
    # F1 is 2 / 4, 2 / 5, 4 / 6, 4 / 7: the best is from 0.4 on, halfway to 0.2
    assert (own.threshold, own.precision, own.recall, own.f1) == pytest.approx((0.3, 2 / 3, 2 / 3, 2 / 3))
    # COCO's 101 recalls: 34 of them up to 1/3 with precision 1, 33 up to 2/3 with 2/3
    assert (own.ap, own.ap50) == pytest.approx(((34 + 33 * 2 / 3) / 101,) * 2)


def test_scores_equal_scores_are_one_point_of_the_curve():
    (own,) = class_scores([image([[*BOX, 0.5], [*FAR, 0.5]], [BOX])])
    assert own.curve == Curve([0.5], [0.5], [1.0]) and own.threshold == 0.25


def test_scores_of_regions_to_ignore_are_neither_true_nor_false():
    (own,) = class_scores([image([[*BOX, 0.5], [*FAR, 0.9]], [BOX], ignored=[FAR])])
    assert own.precision == 1 and own.detections == 1


def test_scores_of_a_class_without_objects_do_not_exist():
    own, empty = class_scores([image([[*BOX, 0.5]], [BOX], classes=('a', 'b'))])
    assert own.ap == pytest.approx(1) and empty[3:10] == (None,) * 7
    assert thresholds_by_class([own, empty], None) == [0.25, 0.5]
    assert thresholds_by_class([own, empty], 0.3) == [0.3, 0.3]
    assert best_threshold(Curve([0.5], [0.0], [0.0])) is None


def test_scores_equal_those_of_cocos_metric(made):
    dataset = build_split(Config.fromfile(str(made / 'config.py')), 'test').datasets[0]
    results = pickle.loads((made / 'run/results.pkl').read_bytes())[:6]
    scores = class_scores(list(samples(dataset, results)))
    figures = dataset.evaluate(results, logger='silent')
    for key, name in (('ap', 'mAP'), ('ap50', 'mAP_50'), ('ap75', 'mAP_75')):
        known = [getattr(own, key) for own in scores if own.objects]
        assert np.mean(known) == pytest.approx(figures[f'bbox_{name}'], abs=1e-4)


def test_thresholds_are_written_as_json_and_csv(tmp_path):
    scores = class_scores([image([[*BOX, 0.5]], [BOX], classes=('a', 'b, c'))])
    write_thresholds(scores, tmp_path / 'sub/t.json')
    content = json.loads((tmp_path / 'sub/t.json').read_text())
    assert content['a']['threshold'] == 0.25 and content['b, c']['threshold'] is None
    write_thresholds(scores, tmp_path / 't.csv')
    with open(tmp_path / 't.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert (rows[0]['threshold'], rows[1]['name'], rows[1]['threshold']) == ('0.25', 'b, c', '')
    with pytest.raises(ThresholdFileError, match='.json or .csv, not t.txt'):
        write_thresholds(scores, tmp_path / 't.txt')
    assert curves_csv(scores).splitlines() == ['class,score,precision,recall', '"a",0.5,1,1']
