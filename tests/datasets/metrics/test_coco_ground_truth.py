"""Figures that odd but valid annotation files gave wrong: each beside a perfect detector, right: 1.0."""

import copy

import numpy as np
import pytest
from coco_files import coco_content

from mmdet.datasets import CocoDataset

BOXES = [[(5, 0, 0, 10, 10), (7, 20, 20, 20, 20)], [(7, 5, 5, 30, 30)]]
BACKENDS = ('pycocotools', 'numpy')


def build(write_coco, content, **kwargs):
    return CocoDataset(write_coco(content), [], classes=('cat', 'dog'), test_mode=True, **kwargs)


def perfect(dataset, proposals=False):
    """Each box with the score 1, by class or as proposals."""
    results = []
    for i in range(len(dataset)):
        ann = dataset.get_ann_info(i)
        dets = np.concatenate([ann['bboxes'], np.ones((len(ann['bboxes']), 1), np.float32)], 1)
        results.append(dets if proposals else [dets[ann['labels'] == label] for label in (0, 1)])
    return results


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('first', [0, -1, -5])
def test_ids_of_zero_or_below_count_as_others_do(write_coco, backend, first):
    content = coco_content(BOXES)
    for number, ann in enumerate(content['annotations']):
        ann['id'] = first + number
    dataset = build(write_coco, content)
    assert dataset.evaluate(perfect(dataset), backend=backend, logger='silent')['bbox_mAP'] == 1.0


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('as_id', [str, lambda i: i + 0.5, lambda i: f'photo{i}'], ids=['digits', 'fraction', 'name'])
def test_image_ids_of_every_kind(write_coco, backend, as_id):
    content = coco_content(BOXES)
    for info in content['images']:
        info['id'] = as_id(info['id'])
    for ann in content['annotations']:
        ann['image_id'] = as_id(ann['image_id'])
    dataset = build(write_coco, content)
    assert dataset.evaluate(perfect(dataset), backend=backend, logger='silent')['bbox_mAP'] == 1.0


@pytest.mark.parametrize('backend', BACKENDS)
def test_numbers_of_proposals_in_any_order(write_coco, backend):
    boxes = [(5, x, y, 4, 4) for x in range(0, 60, 5) for y in range(0, 45, 5)]  # 108 objects
    dataset = build(write_coco, coco_content([boxes]))
    options = dict(proposal_nums=(300, 100), metric_items=['AR@300', 'AR@100'], backend=backend, logger='silent')
    figures = dataset.evaluate(perfect(dataset), **options)
    assert figures['bbox_AR@300'] == 1.0
    assert figures['bbox_AR@100'] == pytest.approx(100 / 108, abs=1e-4)


@pytest.mark.parametrize('backend', BACKENDS)
def test_evaluation_leaves_the_annotations_as_they_are(write_coco, backend):
    content = coco_content(BOXES)
    content['annotations'][0].update(iscrowd=1, segmentation=[[0, 0, 9, 0, 9, 9]])
    dataset = build(write_coco, content)
    before = copy.deepcopy(dataset.coco.dataset)
    proposals = perfect(dataset, proposals=True)
    first = dataset.evaluate(proposals, 'proposal_fast', logger='silent')
    dataset.evaluate(perfect(dataset), backend=backend, logger='silent')
    assert dataset.coco.dataset == before
    assert (
        dataset.evaluate(proposals, 'proposal_fast', logger='silent')
        == first
        == pytest.approx({'AR@100': 1.0, 'AR@300': 1.0, 'AR@1000': 1.0})
    )


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('key', ['ignore', 'iscrowd'])
def test_ignored_objects_are_ignore_regions_in_training_and_in_figures(write_coco, backend, key):
    content = coco_content(BOXES)
    content['annotations'][0][key] = 1
    dataset = build(write_coco, content)
    ann = dataset.get_ann_info(0)
    assert ann['bboxes'].tolist() == [[20, 20, 40, 40]] and ann['bboxes_ignore'].tolist() == [[0, 0, 10, 10]]
    results = perfect(dataset)
    figures = dataset.evaluate(results, backend=backend, logger='silent')
    assert figures['bbox_mAP'] == 1.0  # of dog; of cat there is nothing to find
    results[0][1] = np.concatenate([np.asarray([[0, 0, 10, 10, 1]], np.float32), results[0][1]])
    assert dataset.evaluate(results, backend=backend, logger='silent')['bbox_mAP'] < 1.0  # found as another class
    results = perfect(dataset)
    results[0][0] = np.asarray([[0, 0, 10, 10, 1]], np.float32)
    assert dataset.evaluate(results, backend=backend, logger='silent')['bbox_mAP'] == 1.0  # neither true nor false


@pytest.mark.parametrize(
    ('segmentation', 'fault'),
    [
        (dict(size=[64, 48], counts=[64 * 48]), r'1: run lengths of size \[64, 48\]'),
        (dict(size=[48, 64], counts=[5]), '1: run lengths come to 5 pixels'),
        ([[0, 0, 9, 9]], '1: no polygon with 3 corners'),
        ([[0, 0, 9, 0, 9, 1e9]], '1: a corner is more than'),
        (None, 'no segmentation: 1'),
    ],
)
def test_impossible_masks_are_named_before_figures_are_made_of_them(write_coco, segmentation, fault):
    content = coco_content([[(5, 0, 0, 10, 10)]])
    content['annotations'][0]['segmentation'] = segmentation
    dataset = build(write_coco, content)
    results = [(dets, [[], []]) for dets in [[np.zeros((0, 5))] * 2]]
    with pytest.raises(ValueError, match=fault):
        dataset.evaluate(results, 'segm', logger='silent')
