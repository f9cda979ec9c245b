"""One way to the images of any data set, their ground truth and what was detected."""

import json
import pickle
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from made_run import CLASSES
from mmcv import Config
from pycocotools import mask as mask_coding

from mmdet.apis.launch import UserError
from mmdet.apis.report.results_files import find_results, read_results
from mmdet.apis.report.samples import ResultsError, boxes_by_class, lies_outside, locate, samples
from mmdet.apis.results import build_split
from mmdet.datasets.dataset_wrappers import ClassBalancedDataset, MultiImageMixDataset, RepeatDataset

NOTHING = np.zeros((0, 5), np.float32)


@pytest.fixture(scope='module')
def mixed(made):
    """Two joined data sets of six images each, and the results of them."""
    dataset = build_split(Config.fromfile(str(made / 'config.py')), 'test')
    return dataset, pickle.loads((made / 'run/results.pkl').read_bytes())


def test_samples_of_joined_data_sets_have_the_truth_and_the_image_of_their_own(mixed):
    found = list(samples(*mixed))
    assert [image.source for image in found] == ['zoo'] * 6 + ['park'] * 6
    assert [image.own_index for image in found] == [*range(6), *range(6)]
    last = found[11]
    assert last.annotation['bboxes'].tolist() == [[25, 20, 105, 106]]
    assert last.class_names == CLASSES and last.read_image().shape == (260, 200, 3)


def test_locate_goes_through_all_wrappers(mixed):
    joined = mixed[0]
    zoo, park = joined.datasets
    repeated = RepeatDataset(joined, times=2)
    balanced = ClassBalancedDataset(joined, oversample_thr=0.9)
    assert locate(repeated, 12 + 7) == (park, 1)
    assert locate(balanced, len(balanced) - 1) == (park, 5) and len(balanced) > 12
    assert locate(MultiImageMixDataset(balanced, []), 0) == (zoo, 0)
    with pytest.raises(IndexError, match='image 12 of a data set of 12'):
        locate(joined, 12)


def test_proposals_are_one_class(mixed):
    dataset = mixed[0]
    image = next(samples(dataset, [np.array([[0, 0, 5, 5, 0.5]], np.float32)] * 12))
    assert image.class_names == ('object',) and set(image.annotation['labels'].tolist()) == {0}


def test_boxes_of_masks_without_boxes_are_their_extents():
    mask = np.zeros((20, 30), np.uint8)
    mask[5:9, 10:25] = 1
    zero = np.array([[0, 0, 0, 0, 0.75]], np.float32)
    for form in (mask.astype(bool), mask_coding.encode(np.asfortranarray(mask))):
        boxes = boxes_by_class(([NOTHING, zero], [[], [form]]))
        assert boxes[1].tolist() == [[10, 5, 25, 9, 0.75]] and boxes[0].shape == (0, 5)


def test_results_that_are_none_are_refused(mixed):
    with pytest.raises(ResultsError, match='ins_results'):
        boxes_by_class(dict(pan_results=np.zeros((2, 2))))
    with pytest.raises(ResultsError, match='2 classes, the data set 3: raccoon'):
        next(samples(mixed[0], [[NOTHING, NOTHING]]))


@pytest.mark.parametrize(
    ('rows', 'message'),
    [
        ([[0, 0, 5, 5, float('nan')]], r'image 0 \(0\.png\): a detection is not finite: \[0\.0, .*nan\]'),
        ([[0, 0, 5, 5, 0.5, 1]], r'image 0 \(0\.png\): expected arrays \(n, 5\) .* got one of shape \(1, 6\)'),
    ],
)
def test_results_that_are_no_boxes_are_refused_with_their_image(mixed, rows, message):
    with pytest.raises(ResultsError, match=message):
        next(samples(mixed[0], [[np.array(rows), NOTHING, NOTHING]]))


def test_joined_data_sets_of_different_classes_are_refused(made):
    cfg = Config.fromfile(str(made / 'config.py'))
    cfg.data.test.datasets[1].classes = tuple(reversed(CLASSES))
    with pytest.raises(ResultsError, match=r'zoo \(raccoon, kangaroo, koala\) and park \(koala, kangaroo, raccoon\)'):
        next(samples(build_split(cfg, 'test'), [[NOTHING] * 3] * 12))
    cfg.data.test.datasets[1].classes = list(CLASSES)  # the same ones
    assert next(samples(build_split(cfg, 'test'), [[NOTHING] * 3] * 12)).class_names == CLASSES


def test_labels_that_no_class_has_are_refused(mixed, monkeypatch):
    found = dict(bboxes=np.zeros((1, 4)), labels=np.array([7]))
    monkeypatch.setattr(type(mixed[0].datasets[0]), 'get_ann_info', lambda self, index: found)
    with pytest.raises(ResultsError, match='annotation of 0.png has the label 7, the data set 3 classes'):
        next(samples(*mixed))


def test_detections_of_larger_images_lie_outside(mixed):
    sample = next(samples(*mixed))
    far = np.array([[300, 200, 400, 300, 0.5], [300, 200, 339, 239, 0.5]], np.float32)  # of 320 x 240 px
    assert lies_outside(sample) == 0
    assert lies_outside(sample._replace(boxes=[far, NOTHING, NOTHING])) == 1
    info = [dict(filename='0.png')]
    assert lies_outside(sample._replace(boxes=[far], dataset=SimpleNamespace(data_infos=info))) == 0  # no size known


def test_boxes_as_fractions_become_pixels(tmp_path):
    class Fractions:
        CLASSES, BOXES_ARE_FRACTIONS, img_prefix = ('a',), True, str(tmp_path)
        data_infos = [dict(filename='a.png')]

        def __len__(self):
            return 1

        def get_ann_info(self, idx):
            return dict(bboxes=np.array([[0.5, 0.5, 1, 1]]), labels=np.array([0]))

    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((10, 40, 3), np.uint8))
    assert next(samples(Fractions(), [[NOTHING]])).annotation['bboxes'].tolist() == [[20, 5, 40, 10]]


def coco_list(results, path):
    entries = [
        dict(image_id=i, category_id=k + 1, bbox=[x1, y1, x2 - x1, y2 - y1], score=score)
        for i, image in enumerate(results)
        for k, dets in enumerate(image)
        for x1, y1, x2, y2, score in dets.tolist()
    ]
    path.write_text(json.dumps(entries))
    return path


def test_lists_of_coco_give_the_same_results(mixed, tmp_path):
    dataset, results = mixed
    paths = [coco_list(results[:6], tmp_path / 'zoo.json'), coco_list(results[6:], tmp_path / 'park.json')]
    read = read_results(paths, dataset)
    assert all(np.allclose(a, b) for got, want in zip(read, results) for a, b in zip(got, want))
    with pytest.raises(UserError, match='a .json for each, in the order zoo, park'):
        read_results(paths[:1], dataset)
    entries = json.loads(paths[0].read_text())
    for content, message in (
        ('nothing', 'is no JSON'),
        ('{}', 'expected a list of detections, got dict'),
        ('[{"image_id": 0, "category_id": 1}]', 'entry 0 lacks bbox, score'),
        (json.dumps([dict(entries[0], bbox=[1, 2])]), r'entry 0 has the bbox \[1, 2\], not \[x, y, w, h\]'),
    ):
        paths[0].write_text(content)
        with pytest.raises(UserError, match=message):
            read_results(paths, dataset)
    paths[0].write_text(json.dumps([dict(entries[0], image_id=77)]))
    with pytest.raises(UserError, match=r'zoo\.json, entry 0: image_id 77'):
        read_results(paths, dataset)


def test_config_without_the_data_is_named():
    for cfg in (dict(data=None), dict(data=dict(val=None))):
        with pytest.raises(UserError, match='the config has no data.val'):
            build_split(Config(cfg), 'val')


def test_results_of_the_test_data_come_before_those_that_training_left(tmp_path):
    assert find_results(tmp_path, None) == ([], 'test')
    (tmp_path / 'results_val.npz').touch()
    assert find_results(tmp_path, None) == ([tmp_path / 'results_val.npz'], 'val')
    (tmp_path / 'results.pkl').touch()
    assert find_results(tmp_path, None) == ([tmp_path / 'results.pkl'], 'test')
    assert find_results(tmp_path, 'val') == ([tmp_path / 'results_val.npz'], 'val')
