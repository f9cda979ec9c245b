"""Evaluation of images in which only some classes are annotated."""

import numpy as np
import pytest
from coco_files import coco_content

from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.mixing.partial_labels import keep_labelled, unlabelled_of_images

# 'cat' is category 5 and label 0, 'dog' 7 and 1
BOXES = [[(5, 0, 0, 20, 20)], [(5, 5, 5, 30, 30), (7, 30, 10, 20, 20)]]
FALSE_DOG = np.asarray([[40, 20, 60, 40, 0.95]], dtype=np.float32)


@pytest.fixture
def build(write_coco):
    def make(first=None, second=None, pipeline=()):
        content = coco_content(BOXES)
        for image, fields in zip(content['images'], (first, second)):
            image.update(fields or {})
        return CocoDataset(write_coco(content), pipeline, classes=('cat', 'dog'), test_mode=True)

    return make


def found(dataset, extra_dogs):
    """All objects, and in the first image dogs that nobody annotated."""
    results = []
    for i in range(len(dataset)):
        info = dataset.get_ann_info(i)
        dets = np.column_stack([info['bboxes'], np.full(len(info['labels']), 0.9)]).astype(np.float32)
        results.append([dets[info['labels'] == label] for label in (0, 1)])
    results[0][1] = np.concatenate([results[0][1], extra_dogs])
    return results


def m_ap(dataset, results, **kwargs):
    return dataset.evaluate(results, logger='silent', **kwargs)['bbox_mAP']


@pytest.mark.parametrize('fields', [{'labeled_classes': [5]}, {'labeled_classes': ['cat']}, {'unlabeled_classes': [7]}])
def test_detection_of_a_class_that_is_not_annotated_is_neither_true_nor_false(fields, build):
    dataset = build(fields)
    results = found(dataset, FALSE_DOG)
    before = [[part.copy() for part in image] for image in results]
    assert m_ap(dataset, results) == pytest.approx(0.75)  # dogs: one false before the true one
    assert m_ap(dataset, results, labeled_only=True) == pytest.approx(1.0)
    assert m_ap(dataset, results) == pytest.approx(0.75)  # nothing was changed
    assert all(np.array_equal(a, b) for mine, other in zip(results, before) for a, b in zip(mine, other))


def test_object_of_a_class_that_is_not_annotated_is_not_missed(build):
    dataset = build(None, {'unlabeled_classes': ['dog', 9]})  # one dog is there, but not all need be
    results = found(dataset, FALSE_DOG[:0])
    results[1][1] = results[1][1][:0]
    assert m_ap(dataset, results) == pytest.approx(0.5)
    assert m_ap(dataset, results, labeled_only=True) == pytest.approx(1.0)


def test_false_detections_of_annotated_classes_stay_false(build):
    dataset = build({'labeled_classes': [5, 7]})
    assert m_ap(dataset, found(dataset, FALSE_DOG), labeled_only=True) == pytest.approx(0.75)


def test_pipeline_of_the_data_set_speaks_for_all_images(build):
    collect = dict(type='Collect', keys=[], meta_keys=())
    step = dict(type='AddFieldToImgMetas', fields=['labeled_classes'], values=[['cat']])
    dataset = build(pipeline=[collect, step])
    assert unlabelled_of_images(dataset) == [[1], [1]]
    from_entries = dict(type='AddFieldToImgMetas', from_img_info=['labeled_classes'], default=dict(labeled_classes=[0]))
    assert unlabelled_of_images(build({'labeled_classes': [5, 7]}, pipeline=[collect, from_entries])) == [[], [1]]


def test_nothing_that_restricts_is_an_error(build):
    dataset = build()
    with pytest.raises(ValueError, match='labeled_only=True, but no image says which classes are annotated'):
        m_ap(dataset, found(dataset, FALSE_DOG), labeled_only=True)


def test_masks_and_their_scores_go_with_the_boxes_and_proposals_stay():
    boxes, masks, scores = [np.ones((1, 5))] * 2, [['a'], ['b']], [np.ones(1)] * 2
    (kept,) = keep_labelled([(boxes, (masks, scores))], [[1]])
    assert [len(part) for part in (*kept[0], *kept[1][0], *kept[1][1])] == [1, 0, 1, 0, 1, 0]
    assert len(masks[1]) == 1
    proposals = np.ones((3, 5))
    assert keep_labelled([proposals], [[0]])[0] is proposals
