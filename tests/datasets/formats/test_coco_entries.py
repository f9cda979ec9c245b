from collections import Counter

import numpy as np
import pytest

from mmdet.datasets.formats.coco_entries import (
    images_to_train_on,
    labels_of_categories,
    parsed_annotations,
    usable_annotations,
    with_filename,
    xyxy_of,
)

CATEGORIES = [dict(id=5, name='cat '), dict(id=7, name='dog'), dict(id=9, name='cow')]


def test_labels_are_places_among_the_classes_and_another_order_is_told(caplog):
    assert labels_of_categories(CATEGORIES, ('cat', 'bird', 'dog'), 'a.json') == {5: 0, 7: 2}
    assert not caplog.records
    assert list(labels_of_categories(CATEGORIES, ('dog', 'cat'), 'a.json').items()) == [(7, 0), (5, 1)]
    assert caplog.messages[0].startswith('a.json: the categories have another order')


def test_image_entry_has_a_filename_or_is_named():
    entry = dict(id=3, file_name='b.jpg', width=4, height=5)
    assert with_filename(entry, 'a.json') is entry and entry['filename'] == 'b.jpg'
    with pytest.raises(ValueError, match=r'a.json: image 3 has no width, height; it has .*file_name'):
        with_filename(dict(id=3, file_name='b.jpg'), 'a.json')


def test_annotations_of_the_classes_with_a_box_in_the_image_are_usable():
    boxes = [(5, [0, 0, 1, 1]), (9, [0, 0, 9, 9]), (7, [0, 0, 0.9, 9]), (7, [30, 0, 9, 9]), (7, [29, 19, 9, 9])]
    anns = [dict(id=i, category_id=cat, bbox=box, area=1) for i, (cat, box) in enumerate(boxes)]
    assert [ann['id'] for ann in usable_annotations(anns, {5: 0, 7: 1}, (30, 20))] == [0, 4]
    anns[0]['area'] = 0
    assert [ann['id'] for ann in usable_annotations(anns, {5: 0, 7: 1}, (30, 20))] == [4]


def test_corners_are_of_single_precision_after_the_sum():
    boxes = xyxy_of([dict(bbox=[16777216.6, 1, 0.7, 2])])
    assert boxes.dtype == np.float32 and xyxy_of([]).shape == (0, 4)
    np.testing.assert_array_equal(boxes, np.float32([[16777216.6, 1, 16777217.3, 3]]))


def test_crowds_are_parsed_as_ignored_regions():
    usable = [
        dict(id=1, category_id=7, bbox=[1, 2, 3, 4], segmentation=[[0, 0, 1, 0, 1, 1]]),
        dict(id=2, category_id=5, bbox=[0, 0, 5, 5], iscrowd=1),
        dict(id=3, category_id=5, bbox=[2, 2, 2, 2]),
    ]
    parsed = parsed_annotations(usable, {5: 0, 7: 1})
    assert parsed['labels'].tolist() == [1, 0] and parsed['labels'].dtype == np.int64
    assert parsed['bboxes'].tolist() == [[1, 2, 4, 6], [2, 2, 4, 4]]
    assert parsed['bboxes_ignore'].tolist() == [[0, 0, 5, 5]]
    assert parsed['masks'] == [usable[0]['segmentation'], None] and parsed['annotations'] == [usable[0], usable[2]]


def test_small_images_and_those_without_objects_are_left_out_and_counted():
    infos, reasons = [dict(width=w, height=32) for w in (32, 31, 40, 40)], Counter()
    assert images_to_train_on(infos, ['a', 'b', 'c', 'd'], {'a', 'b', 'd'}, 32, reasons) == [0, 3]
    assert reasons == {'smaller than 32 px': 1, 'without an object of the classes': 1}
