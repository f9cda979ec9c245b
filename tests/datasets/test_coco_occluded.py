import json
import pickle

import numpy as np
import pycocotools.mask as mask_utils
import pytest
from coco_files import coco_content

from mmdet.datasets import OccludedSeparatedCocoDataset
from mmdet.datasets.coco_occluded import read_objects


def rle(x1, x2, size_hw=(48, 64)):
    mask = np.zeros(size_hw, np.uint8, order='F')
    mask[:10, x1:x2] = 1
    return mask_utils.encode(mask)


@pytest.fixture
def dataset(write_coco, tmp_path):
    occluded = [('cat', 0, '1.png', [0, 0, 10, 10], rle(0, 10)), ('dog', 1, '1.png', [20, 0, 10, 10], rle(20, 30))]
    (tmp_path / 'occluded.pkl').write_bytes(pickle.dumps(occluded))
    separated = [['dog', 2, '2.png', [0, 0, 0, 0], dict(size=[48, 64], counts=rle(0, 20)['counts'].decode())]]
    (tmp_path / 'separated.json').write_text(json.dumps(separated))
    return OccludedSeparatedCocoDataset(
        write_coco(coco_content([[(5, 0, 0, 10, 10)], []])),
        [],
        classes=('cat', 'dog'),
        test_mode=True,
        data_root=str(tmp_path),
        occluded_ann='occluded.pkl',
        separated_ann='separated.json',
    )


def result(cats=(), dogs=()):
    """One image from pairs of score and mask."""
    kinds = (cats, dogs)
    dets = [np.asarray([[0, 0, 10, 10, score] for score, _ in kind], np.float32).reshape(-1, 5) for kind in kinds]
    return dets, [[mask for _, mask in kind] for kind in kinds]


def test_recall_hand_computed(dataset):
    # the cat: IoU 8 / 10; the dog of image 1 has the wrong class; that of image 2 IoU 14 / 20
    results = [result(cats=[(0.4, rle(0, 8)), (0.9, rle(20, 30))]), result(dogs=[(0.9, rle(0, 14))])]
    assert dataset.evaluate(results, logger='silent') == dict(occluded_recall=50.0, separated_recall=0.0)
    assert dataset.evaluate(results, iou_thr=0.7, logger='silent')['separated_recall'] == 100.0
    assert dataset.evaluate(results, score_thr=0.5, logger='silent')['occluded_recall'] == 0.0


def test_coco_metrics_beside_it_and_masks_with_their_own_scores(dataset):
    dets, masks = result(cats=[(0.9, rle(0, 10))])
    out = dataset.evaluate([(dets, (masks, [[0.9], []])), result()], metric='bbox', logger='silent')
    assert out['bbox_mAP'] == 1.0 and out['occluded_recall'] == 50.0


def test_mask_iou_hand_computed(dataset):
    first, second = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    assert dataset.mask_iou(first, second) == 0
    first[:2], second[1:3] = True, True
    assert dataset.mask_iou(first, second) == pytest.approx(1 / 3)


def test_a_file_that_runs_code_is_refused(dataset, tmp_path):
    (tmp_path / 'occluded.pkl').write_bytes(pickle.dumps([print]))
    with pytest.raises(ValueError, match='wants to run builtins.print'):
        dataset.evaluate([result(), result()], logger='silent')
    (tmp_path / 'occluded.pkl').write_bytes(pickle.dumps([('cat', np.arange(3))]))
    with pytest.raises(ValueError, match='each with class, id, image file, box'):
        dataset.evaluate([result(), result()], logger='silent')


def test_wrong_results_are_named(dataset, tmp_path):
    with pytest.raises(TypeError, match='needs pairs of detections and masks'):
        dataset.evaluate([result()[0]] * 2, logger='silent')
    with pytest.raises(ValueError, match='results has 1 entries for 2 images'):
        dataset.evaluate([result()], logger='silent')
    with pytest.raises(KeyError, match='9.png: there is no such image'):
        dataset.compute_recall({}, [('cat', 0, '9.png', [], rle(0, 1))])


def test_files_of_python_2_are_read(tmp_path):
    # protocol 2 writes bytes as text with a call that turns it back; \xe9 is one of those that ASCII has not
    objects = [('cat', 0, '1.png', np.array([1.0, 2.0]), dict(size=[1, 1], counts=b'\xe9'))]
    path = tmp_path / 'old.pkl'
    path.write_bytes(pickle.dumps(objects, protocol=2))
    assert b'_codecs' in path.read_bytes()
    ((name, _, _, box, mask),) = read_objects(str(path))
    assert (name, box.tolist(), mask['counts']) == ('cat', [1, 2], b'\xe9')


def test_other_codecs_are_refused(tmp_path):
    path = tmp_path / 'odd.pkl'
    path.write_bytes(b'c_codecs\nencode\n(Va\nVrot13\ntR.')
    with pytest.raises(ValueError, match="'rot13'; pickles write latin1"):
        read_objects(str(path))


def test_images_are_found_without_their_folder(dataset):
    found = {'val2017/1.png': [(0.9, 'cat', np.zeros(4), rle(0, 10))]}
    assert dataset.compute_recall(found, [('cat', 0, '1.png', None, rle(0, 10))]) == (100.0, 1)
