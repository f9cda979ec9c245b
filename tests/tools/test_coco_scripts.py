"""The scripts that combine, split, filter and tabulate COCO files, run as processes."""

import csv
import json
import sys

import numpy as np
import pytest
from process import ROOT, python

FOLDER = ROOT / 'tools' / 'dataset_converters'
sys.path.append(str(FOLDER))
import coco_editing  # noqa: E402 - a neighbour of the scripts


def run(script, *arguments):
    return python(FOLDER / f'{script}.py', *arguments, check=False)


def content_of(classes, images, size=(64, 48)):
    """COCO content; images: file name -> classes of its objects; ids are odd on purpose."""
    ids = {name: 7 * i + 3 for i, name in enumerate(classes)}
    content = dict(images=[], annotations=[], categories=[dict(id=i, name=name) for name, i in ids.items()])
    for i, (name, objects) in enumerate(images.items()):
        content['images'].append(dict(id=100 - i, file_name=name, width=size[0], height=size[1], license=4))
        for cat in objects:
            ann = dict(id=len(content['annotations']) + 50, image_id=100 - i, category_id=ids[cat])
            content['annotations'].append(dict(ann, bbox=[1, 2, 3, 4], area=12, iscrowd=0))
    return dict(content, licenses=[dict(id=4, name='free')])


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def objects(content):
    """Pairs of image file and class, sorted."""
    files = {img['id']: img['file_name'] for img in content['images']}
    names = {cat['id']: cat['name'] for cat in content['categories']}
    return sorted((files[ann['image_id']], names[ann['category_id']]) for ann in content['annotations'])


@pytest.fixture
def two_files(tmp_path):
    first = content_of(['cat', 'dog'], {'a.png': ['cat', 'dog'], 'b.png': []})
    second = content_of(['dog', 'cow'], {'a.png': ['cow'], 'c.png': ['dog', 'dog']})
    return write(tmp_path / '1.json', first), write(tmp_path / '2.json', second)


def test_combine_matches_classes_by_name_and_renumbers(two_files, tmp_path):
    out = tmp_path / 'new' / 'all.json'
    done = run('coco_combine', *two_files, '-o', out, '--prefixes', 'x', 'y')
    assert done.returncode == 0, done.stderr
    assert '4 images, 5 objects (cat 1, dog 3, cow 1)' in done.stdout
    content = json.loads(out.read_text())
    assert [(cat['id'], cat['name']) for cat in content['categories']] == [(1, 'cat'), (2, 'dog'), (3, 'cow')]
    assert [img['id'] for img in content['images']] == [1, 2, 3, 4]
    assert [ann['id'] for ann in content['annotations']] == [1, 2, 3, 4, 5]
    want = [('x/a.png', 'cat'), ('x/a.png', 'dog'), ('y/a.png', 'cow'), ('y/c.png', 'dog'), ('y/c.png', 'dog')]
    assert objects(content) == want
    assert content['licenses'] == [dict(id=1, name='free')] and {img['license'] for img in content['images']} == {1}


def test_combine_of_one_image_in_two_files(two_files, tmp_path):
    out = tmp_path / 'all.json'
    refused = run('coco_combine', *two_files, '-o', out)
    assert refused.returncode == 1 and 'image a.png is there already' in refused.stderr and not out.exists()
    contents = [coco_editing.read_coco(path) for path in two_files]
    merged = coco_editing.combine(contents, two_files, merge_images=True)
    assert [img['file_name'] for img in merged['images']] == ['a.png', 'b.png', 'c.png']
    assert objects(merged)[:3] == [('a.png', 'cat'), ('a.png', 'cow'), ('a.png', 'dog')]
    contents[1]['images'][0]['width'] = 5
    with pytest.raises(ValueError, match=r'a.png is \(5, 48\) px \(w, h\) here and \(64, 48\) before'):
        coco_editing.combine(contents, two_files, merge_images=True)


def test_combine_refuses_what_it_would_spoil():
    plain, other = (content_of(['cat'], {f'{name}.png': ['cat']}) for name in 'ab')
    other['categories'][0]['keypoints'] = ['nose']
    plain['categories'][0]['keypoints'] = ['tail']
    with pytest.raises(ValueError, match="class 'cat' is described differently"):
        coco_editing.combine([plain, other], 'ab')
    other['categories'][0]['keypoints'] = ['tail']
    other['annotations'][0]['segments_info'] = []
    with pytest.raises(ValueError, match='panoptic annotations cannot be combined'):
        coco_editing.combine([plain, other], 'ab')


def many(seed=0, count=200):
    rng = np.random.default_rng(seed)
    rates = dict(common=0.8, usual=0.3, rare=0.05)
    return content_of(
        list(rates), {f'{i}.png': [name for name, rate in rates.items() if rng.random() < rate] for i in range(count)}
    )


def test_split_divides_every_class_and_is_repeatable(tmp_path):
    path = write(tmp_path / 'all.json', many())
    options = ['--parts', 'train=0.7', 'val=0.2', 'test=0.1', '--seed', 5]
    done = run('coco_split', path, '-o', tmp_path / 'a', *options)
    assert done.returncode == 0, done.stderr
    assert run('coco_split', path, '-o', tmp_path / 'b', *options).returncode == 0
    parts = [json.loads((tmp_path / 'a' / f'{name}.json').read_text()) for name in ('train', 'val', 'test')]
    ids = [img['id'] for part in parts for img in part['images']]
    assert sorted(ids) == sorted(img['id'] for img in many()['images'])
    assert sum((objects(part) for part in parts), []) and sorted(sum(map(objects, parts), [])) == objects(many())
    for name in ('common', 'usual', 'rare'):
        counts = np.asarray([sum(cls == name for _, cls in objects(part)) for part in parts])
        assert np.abs(counts - counts.sum() * np.asarray([0.7, 0.2, 0.1])).max() <= 2
    assert [len(part['images']) for part in parts] == pytest.approx([140, 40, 20], abs=4)
    for name in ('train', 'val', 'test'):
        assert (tmp_path / 'a' / f'{name}.json').read_bytes() == (tmp_path / 'b' / f'{name}.json').read_bytes()
    assert coco_editing.split_images(many(), [0.5, 0.5], 1) != coco_editing.split_images(many(), [0.5, 0.5], 2)


def test_split_refuses_wrong_parts(tmp_path):
    path = write(tmp_path / 'train.json', many(count=2))
    assert 'sum up to 0.9' in run('coco_split', path, '--parts', 'a=0.5', 'b=0.4').stderr
    assert 'take the place of' in run('coco_split', path).stderr
    assert json.loads(path.read_text()) == many(count=2)


@pytest.mark.parametrize(
    ('options', 'classes', 'images'),
    [
        (['--keep', 'dog'], ['dog'], ['a.png', 'b.png', 'c.png']),
        (['--drop', 'dog', '--drop-empty-images'], ['cat'], ['a.png']),
        (['--drop-empty-images'], ['cat', 'dog'], ['a.png', 'c.png']),
    ],
)
def test_filter(tmp_path, options, classes, images):
    content = content_of(['cat', 'dog'], {'a.png': ['cat', 'dog'], 'b.png': [], 'c.png': ['dog']})
    out = tmp_path / 'out.json'
    done = run('coco_filter', write(tmp_path / 'in.json', content), out, *options)
    assert done.returncode == 0, done.stderr
    filtered = json.loads(out.read_text())
    assert [cat['name'] for cat in filtered['categories']] == classes
    assert [img['file_name'] for img in filtered['images']] == images
    assert objects(filtered) == [pair for pair in objects(content) if pair[1] in classes and pair[0] in images]
    assert {ann['id'] for ann in filtered['annotations']} <= {ann['id'] for ann in content['annotations']}


def test_filter_names_the_nearest_class_and_keeps_the_old_file(tmp_path):
    path = write(tmp_path / 'in.json', content_of(['cat', 'dog'], {}))
    out = write(tmp_path / 'out.json', dict(old=1))
    done = run('coco_filter', path, out, '--keep', 'dgo')
    assert done.returncode == 1 and "there is no class 'dgo'; did you mean 'dog'?" in done.stderr
    assert json.loads(out.read_text()) == dict(old=1)


def test_csv_has_a_line_for_each_object_and_each_empty_image(tmp_path):
    path = write(tmp_path / 'in.json', content_of(['cat, big'], {'a.png': ['cat, big'] * 2, 'b.png': []}))
    done = run('coco_to_csv', path, tmp_path / 'out.csv')
    assert done.returncode == 0, done.stderr
    with open(tmp_path / 'out.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [(row['file_name'], row['class'], row['w']) for row in rows] == [
        ('a.png', 'cat, big', '3'),
        ('a.png', 'cat, big', '3'),
        ('b.png', '', ''),
    ]
    assert len(list(coco_editing.csv_rows(coco_editing.read_coco(path), empty_images=False))) == 3


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (lambda content: content.pop('images'), 'expected a JSON object with the lists images'),
        (lambda content: content['annotations'][0].update(image_id=1), 'whose image_id is not among images: 50'),
        (
            lambda content: content['annotations'][0].pop('category_id'),
            'category_id of 1 annotations must be .*; id 50: missing',
        ),
        (lambda content: content['images'].append(content['images'][0]), 'ids of images are there more than once: 100'),
        (
            lambda content: content['categories'][0].pop('id'),
            'id of 1 categories must be .*; entry 0: missing',
        ),
    ],
)
def test_faults_of_a_file_are_named(tmp_path, spoil, message):
    content = content_of(['cat'], {'a.png': ['cat']})
    spoil(content)
    with pytest.raises(ValueError, match=message):
        coco_editing.read_coco(str(write(tmp_path / 'in.json', content)))


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = write(tmp_path / 'out.json', dict(old=1))
    with pytest.raises(TypeError):
        coco_editing.write_coco(dict(images=[object()]), str(path))
    assert json.loads(path.read_text()) == dict(old=1) and list(tmp_path.iterdir()) == [path]
