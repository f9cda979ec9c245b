"""YOLO data sets in the forms that tools write them."""

import pytest
from odd_annotations import CAT, H, W, boxes_of
from PIL import Image

from mmdet.apis.configuring import AnnotationError, read_annotations
from mmdet.apis.configuring.yolo import yolo_box

LINE = '0.25 0.375 0.25 0.5'


@pytest.fixture
def yolo(folder):
    """A YOLO data set: `a` has a box and a polygon, `b` an empty file, `c` none."""
    (folder / 'images/train').mkdir(parents=True)
    (folder / 'labels/train').mkdir(parents=True)
    for name in 'abc':
        (folder / f'{name}.png').rename(folder / 'images/train' / f'{name}.png')
    lines = '\ufeff1 0.5 0.5 0.25 0.5\n0 0.1 0.1 0.5 0.1 0.5 0.6\n'
    (folder / 'labels/train/a.txt').write_text(lines, encoding='utf-8')
    (folder / 'labels/train/b.txt').write_text('')
    (folder / 'data.yaml').write_text('train: ../images/train\nnames: {1: dog, 0: cat}\n')
    return folder


def test_yolo_boxes_polygons_and_images_without_objects(yolo):
    read = read_annotations(yolo / 'data.yaml')
    assert boxes_of(read) == {'a.png': [('dog', 30, 10, 20, 20), ('cat', 8, 4, 32, 20)], 'b.png': [], 'c.png': []}
    assert read.content['annotations'][1]['segmentation'] == [[8, 4, 40, 4, 40, 24]]
    assert read.names == ['cat', 'dog'] and read.images == yolo / 'images/train'
    with pytest.raises(AnnotationError, match='val must be a folder of images, .* got None'):
        read_annotations(yolo, split='val')


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('2 0.5 0.5 0.2 0.2', 'class 2 is none of the 2 names'),
        ('0 40 20 10 10', 'expected fractions'),
        ('0 0.5 0.5', 'expected class, x, y, w, h'),
        ('0 10 10 20 10 20 20', 'expected fractions'),
        ('0 0.5 0.5 -0.2 0.2', 'expected fractions'),
        ('0 nan 0.5 0.2 0.2', 'expected finite numbers'),
        ('cat 0.5 0.5 0.2 0.2', 'expected numbers'),
    ],
)
def test_wrong_yolo_lines_are_named(line, message):
    with pytest.raises(ValueError, match=message):
        yolo_box(line, {0: 'cat', 1: 'dog'}, (W, H))


@pytest.mark.parametrize(
    ('settings', 'line', 'name'),
    [
        ('names: {0: cat, 2: dog}', f'2 {LINE}', 'dog'),
        ('names: {1: cat, 2: dog}', f'1 {LINE}', 'cat'),
        ("names: {'0': a, '1': b, '2': c, '10': d}", f'2 {LINE}', 'c'),
        ('"names": [bird, 7]', f'1 {LINE} 0.9', '7'),
        ('names: [cat]\nkpt_shape: [2, 2]', f'0 {LINE} 0.9 0.9 0.1 0.1', 'cat'),
        ('names: [cat]', '0 0.125 0.125 0.375 0.125 0.375 0.625 0.125 0.625', 'cat'),
    ],
    ids=['numbers with a gap', 'from 1', 'numbers as texts', 'score', 'keypoints', 'corners'],
)
def test_yolo_names_count_by_their_numbers_and_boxes_alone_are_read(yolo, settings, line, name):
    (yolo / 'data.yaml').write_text(f'train: images/train\n{settings}\n')
    (yolo / 'args.yaml').write_text('lr: 1\n')  # another file that lies there
    (yolo / 'labels/train/a.txt').write_text(line)
    read = read_annotations(yolo)
    assert boxes_of(read)['a.png'] == [(name, *CAT[1:])]
    assert read.notes == [f'{yolo}: left out: 1 keypoints of objects, whose boxes are kept'] * ('kpt' in settings)


@pytest.mark.parametrize(
    ('train', 'files'),
    [
        ('[images/train, images/more]', {'train/a.png', 'train/b.png', 'train/c.png', 'more/d.png'}),
        ('list.txt', {'a.png', 'c.png'}),
        ('[list.txt, images/more]', {'train/a.png', 'train/c.png', 'more/d.png'}),
    ],
)
def test_yolo_splits_are_folders_lists_and_both(yolo, train, files):
    (yolo / 'images/more').mkdir()
    Image.new('RGB', (W, H)).save(yolo / 'images/more/d.png')
    (yolo / 'list.txt').write_text('./images/train/a.png\nimages/train/c.png\n\n')
    (yolo / 'data.yaml').write_text(f'path: .\ntrain: {train}\nnames: [cat, dog]\n')
    read = read_annotations(yolo)
    assert set(boxes_of(read)) == files and len(read.content['annotations']) == 2
    assert all((read.images / file).is_file() for file in files)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ('train: nothing', "train is 'nothing', and there is no folder or file"),
        ('train: list.txt', 'list.txt:1: there is no image'),
        ('train: images/more', 'none of the 1 images has a file of labels'),
        ('train: images/train\nnames: [yes, no]', 'names: expected the name of a class, got True'),
    ],
)
def test_yolo_without_files_or_names_says_which(yolo, settings, message):
    (yolo / 'images/more').mkdir()
    Image.new('RGB', (W, H)).save(yolo / 'images/more/d.png')
    (yolo / 'list.txt').write_text('z.png\n')
    (yolo / 'data.yaml').write_text(settings if 'names' in settings else f'{settings}\nnames: [cat, dog]')
    with pytest.raises(AnnotationError, match=message):
        read_annotations(yolo)
