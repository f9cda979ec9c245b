import numpy as np
import pytest

from mmdet.datasets.formats.coco_entries import labels_of_categories, usable_annotations, with_filename, xyxy_of

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
