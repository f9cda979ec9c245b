"""The table of COCO's fields: what is read as it is meant, and what is named with file, id and key."""

import copy
import json
import random

import pytest
from coco_files import coco_content

from mmdet.datasets import CocoDataset
from mmdet.datasets.formats.coco_fields import FIELDS, read_fields, read_json

BOXES = [[(5, 0, 0, 10, 10), (7, 20, 20, 20, 20)], [(7, 5, 5, 30, 30)]]


def content_with(kind, key, value, index=0):
    content = copy.deepcopy(coco_content(BOXES))  # categories are one constant
    content['annotations'][0].update(segmentation=[[0, 0, 9, 0, 9, 9]], ignore=0)
    if value is KeyError:
        del content[kind][index][key]
    else:
        content[kind][index][key] = value
    return content


@pytest.mark.parametrize(
    ('kind', 'key', 'written', 'read'),
    [
        ('annotations', 'iscrowd', '0', 0),
        ('annotations', 'iscrowd', 'True', 1),
        ('annotations', 'ignore', '0', 0),
        ('annotations', 'ignore', 1.0, 1),
        ('annotations', 'area', '12.5', 12.5),
        ('annotations', 'bbox', ['1', 2, '3.5', 4], [1, 2, 3.5, 4]),
        ('images', 'width', '64', 64),
        ('images', 'height', 48.0, 48),
        ('annotations', 'num_keypoints', '2', 2),
    ],
)
def test_what_is_sure_is_read_and_counted(kind, key, written, read, caplog):
    content = content_with(kind, key, written)
    with caplog.at_level('WARNING', 'mmdet'):
        repairs = read_fields(content, 'a.json')
    assert content[kind][0][key] == read and type(content[kind][0][key]) is type(read)
    assert sum(repairs.values()) == 1 and f'{key} of {kind}' in next(iter(repairs))
    assert f'a.json: 1 {key} of {kind} of another kind' in caplog.text


@pytest.mark.parametrize('key', ['iscrowd', 'ignore', 'area', 'segmentation', 'bbox'])
def test_null_counts_as_not_given_where_a_field_may_be_left_out(key):
    content = content_with('annotations', key, None)
    assert sum(read_fields(content, 'a.json').values()) == 1
    assert key not in content['annotations'][0]


def test_sound_content_stays_the_very_same_and_counts_nothing():
    content = coco_content(BOXES)
    before = copy.deepcopy(content)
    box = content['annotations'][0]['bbox']
    assert not read_fields(content, 'a.json') and content == before
    assert content['annotations'][0]['bbox'] is box


@pytest.mark.parametrize(
    ('kind', 'key', 'value', 'words'),
    [
        ('annotations', 'iscrowd', 'maybe', "iscrowd of 1 annotations must be 0 or 1 .*; id 1: 'maybe'"),
        ('annotations', 'iscrowd', 2, 'id 1: 2'),
        ('annotations', 'ignore', [], r'id 1: \[\]'),
        ('annotations', 'area', -1, 'area of 1 annotations must be a finite number >= 0'),
        ('annotations', 'area', float('nan'), 'id 1: nan'),
        ('annotations', 'bbox', [1, 2, 3], r'bbox of 1 annotations must be a list of four finite numbers .*id 1: \['),
        ('annotations', 'bbox', [1, 2, 3, 10**400], 'bbox'),
        ('annotations', 'bbox', [1, 2, 3, 'x'], 'bbox'),
        ('annotations', 'bbox', 'text', 'bbox'),
        ('annotations', 'segmentation', 'text', 'segmentation'),
        ('annotations', 'image_id', None, 'image_id of 1 annotations must be .*; id 1: null'),
        ('annotations', 'category_id', [], 'category_id'),
        (
            'annotations',
            'category_id',
            6,
            r'category_id of 1 annotations is not among the categories: 6 \(1\); .* 5, 7',
        ),
        ('annotations', 'id', None, 'id of 1 annotations .*; entry 0: null'),
        ('annotations', 'id', KeyError, 'entry 0: missing'),
        ('images', 'id', True, 'id of 1 images'),
        ('images', 'width', 0, 'width of 1 images must be a whole number >= 1'),
        ('images', 'width', 64.5, 'id 1: 64.5'),
        ('images', 'height', 10**9, 'height'),
        ('images', 'file_name', 7, 'file_name of 1 images must be a text'),
        ('categories', 'name', None, 'name of 1 categories must be a text .*; id 5: null'),
        ('categories', 'name', ' ', 'name'),
        ('categories', 'id', {}, 'id of 1 categories'),
    ],
)
def test_what_cannot_be_read_names_file_id_and_key(kind, key, value, words):
    with pytest.raises(ValueError, match=rf'a\.json: 1 kinds of entries(.|\n)*{words}'):
        read_fields(content_with(kind, key, value), 'a.json')


def test_faults_of_all_fields_are_in_one_message_and_long_lists_are_cut():
    content = coco_content([[(5, 0, 0, 10, 10)] * 9])
    for ann in content['annotations']:
        ann.update(iscrowd='?', area='?')
    with pytest.raises(ValueError, match='2 kinds of entries') as error:
        read_fields(content, 'a.json')
    assert 'iscrowd of 9 annotations' in str(error.value) and "id 5: '?', ... (9 in all)" in str(error.value)


@pytest.mark.parametrize('value', [[1], 'text', 3, None])
@pytest.mark.parametrize('kind', ['images', 'annotations', 'categories'])
def test_lists_of_another_kind(kind, value):
    content = coco_content(BOXES)
    content[kind] = value
    with pytest.raises(ValueError, match=rf'a\.json: "{kind}" must be a list'):
        read_fields(content, 'a.json')


def test_ids_that_are_texts_here_and_numbers_there_are_brought_together(write_coco):
    content = coco_content(BOXES)
    for ann in content['annotations']:
        ann.update(image_id=str(ann['image_id']), category_id=str(ann['category_id']))
    dataset = CocoDataset(write_coco(content), [], classes=('cat', 'dog'), test_mode=True)
    assert [len(dataset.get_ann_info(i)['bboxes']) for i in (0, 1)] == [2, 1]
    names = coco_content(BOXES)
    for entry in (*names['images'], *names['annotations']):
        key = 'image_id' if 'image_id' in entry else 'id'
        entry[key] = f'img{entry[key]}'
    assert not read_fields(names, 'a.json')


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-32'])
def test_encodings(tmp_path, encoding):
    (tmp_path / 'a.json').write_text('{"name": "Straße"}', encoding=encoding)
    assert read_json(str(tmp_path / 'a.json')) == {'name': 'Straße'}


def test_latin_1_is_named(tmp_path):
    (tmp_path / 'a.json').write_bytes('{"name": "Straße"}'.encode('latin-1'))
    with pytest.raises(ValueError, match=r'a\.json is not in UTF-8, UTF-16 or UTF-32'):
        read_json(str(tmp_path / 'a.json'))


def test_names_that_differ_in_blanks_only_are_one_too_many(write_coco):
    content = coco_content(BOXES, categories=[dict(id=5, name='red'), dict(id=7, name='red ')])
    with pytest.raises(ValueError, match=r'1 name\(s\) of categories are there more than once: red'):
        CocoDataset(write_coco(content), [], classes=('red',))


def test_areas_of_zero_everywhere_are_those_of_the_boxes(write_coco, caplog):
    content = coco_content(BOXES)
    for ann in content['annotations']:
        ann['area'] = 0
    with caplog.at_level('WARNING', 'mmdet'):
        dataset = CocoDataset(write_coco(content), [], classes=('cat', 'dog'))
    assert len(dataset.get_ann_info(0)['bboxes']) == 2 and 'area is 0 in all 3 annotations' in caplog.text


ODD = (None, 'text', '0', '12', -1, 0, 1.5, float('nan'), float('inf'), 1e300, 10**400, True, [], {}, [[]], [None], '')


@pytest.mark.parametrize('seed', range(300))
def test_mutated_files_are_read_or_named_with_the_file(seed, write_coco):
    rng = random.Random(seed)
    content = copy.deepcopy(coco_content(BOXES))
    content['annotations'][0]['segmentation'] = [[0, 0, 9, 0, 9, 9]]
    for _ in range(rng.randint(1, 3)):
        kind = rng.choice(list(FIELDS))
        entries = content.get(kind) or [{}]
        entry = rng.choice(entries) if isinstance(entries, list) else {}
        key = rng.choice([field.key for field in FIELDS[kind]])
        action = rng.random()
        if action < 0.1:
            content[kind] = rng.choice(ODD)
        elif not isinstance(entry, dict) or action < 0.15:
            content.pop(kind, None)
        elif action < 0.3:
            entry.pop(key, None)
        else:
            entry[key] = rng.choice(ODD)
    path = write_coco(content)
    try:
        dataset = CocoDataset(path, [], classes=('cat', 'dog'), filter_empty_gt=False)
        infos = [dataset.get_ann_info(i) for i in range(len(dataset))]
    except ValueError as err:
        assert path in str(err)
    else:
        json.dumps([info['bboxes'].tolist() for info in infos], allow_nan=False)
