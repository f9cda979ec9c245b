"""Annotations in odd but common forms."""

import json

import numpy as np
import pytest
from PIL import Image

from mmdet.apis.configuring import AnnotationError, read_annotations
from mmdet.apis.configuring.formats import label_studio_box, labelme_box, yolo_box

W, H = 80, 40  # px
OBJECT = (
    '<object><name>cat</name><bndbox><xmin>11</xmin><ymin>6</ymin><xmax>30</xmax><ymax>25.7</ymax></bndbox></object>'
)
SIZE = f'<size><width>{W}</width><height>{H}</height></size>'


@pytest.fixture
def folder(tmp_path):
    """A folder with the images a, b, c."""
    for name in 'abc':
        Image.fromarray(np.zeros((H, W, 3), np.uint8)).save(tmp_path / f'{name}.png')
    return tmp_path


def boxes_of(annotations):
    """File -> its objects as (class, x, y, w, h)."""
    names = {category['id']: category['name'] for category in annotations.content['categories']}
    files = {image['id']: image['file_name'] for image in annotations.content['images']}
    found = {file: [] for file in files.values()}
    for ann in annotations.content['annotations']:
        found[files[ann['image_id']]].append((names[ann['category_id']], *ann['bbox']))
    return found


def write_voc(folder, name, text, encoding='utf-8'):
    (folder / f'{name}.xml').write_text(f'<annotation>{text}</annotation>', encoding=encoding)


def test_xml_beside_images_without_size_with_byte_order_mark_and_without_image(folder):
    write_voc(folder, 'a', OBJECT)
    write_voc(folder, 'b', SIZE, 'utf-8-sig')
    write_voc(folder, 'z', SIZE + OBJECT)
    read = read_annotations(folder)
    assert read.kind == 'voc'
    assert boxes_of(read) == {'a.png': [('cat', 10, 5, 20, 20)], 'b.png': []}
    assert read.content['images'][0] == dict(id=1, file_name='a.png', width=W, height=H)
    assert read.notes == [f'{folder}: 1 annotated images are not in {folder} and left out: z']


def test_voc_split_takes_its_own_images(folder):
    for part in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
        (folder / part).mkdir(parents=True)
    for name in 'abc':
        (folder / f'{name}.png').rename(folder / 'JPEGImages' / f'{name}.png')
        write_voc(folder / 'Annotations', name, SIZE + OBJECT)
    (folder / 'ImageSets/Main/mine.txt').write_text('b  1\nc -1\n')
    assert set(boxes_of(read_annotations(folder / 'ImageSets/Main/mine.txt'))) == {'b.png', 'c.png'}
    assert set(boxes_of(read_annotations(folder))) == {'a.png', 'b.png', 'c.png'}


def test_empty_xml_is_named(folder):
    (folder / 'a.xml').write_text('')
    with pytest.raises(AnnotationError, match='a.xml is no valid XML'):
        read_annotations(folder)


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
    with pytest.raises(AnnotationError, match='val must be a folder of images, got None'):
        read_annotations(yolo, split='val')


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('2 0.5 0.5 0.2 0.2', 'class 2 is none of the 2 names'),
        ('0 40 20 10 10', 'expected fractions'),
        ('0 0.5 0.5', 'expected class, x, y, w, h'),
        ('cat 0.5 0.5 0.2 0.2', 'expected numbers'),
    ],
)
def test_wrong_yolo_lines_are_named(line, message):
    with pytest.raises(AnnotationError, match=f'a.txt:3: {message}'):
        yolo_box(line, ['cat', 'dog'], (W, H), 'a.txt:3')


def test_labelme_takes_rectangles_from_any_corner_polygons_and_circles(folder):
    shapes = [
        dict(label='cat', points=[[30, 25], [10, 5]], shape_type='rectangle'),
        dict(label='dog', points=[[1, 2], [21, 2], [11, 32]], shape_type='polygon'),
        dict(label='dog', points=[[20, 20], [20, 25]], shape_type='circle'),
    ]
    (folder / 'a.json').write_text(json.dumps(dict(shapes=shapes, imagePath='..\\pictures\\a.png')), 'utf-8-sig')
    (folder / 'settings.json').write_text('{"other": 1}')
    read = read_annotations(folder)
    assert boxes_of(read) == {'a.png': [('cat', 10, 5, 20, 20), ('dog', 1, 2, 20, 30), ('dog', 15, 15, 10, 10)]}
    with pytest.raises(AnnotationError, match='shape 0: line of 2 points has no area'):
        labelme_box(dict(label='a', points=[[0, 0], [1, 1]], shape_type='line'), 'shape 0')


def test_cvat_boxes_and_polygons(folder):
    box = '<box label="cat" xtl="10" ytl="5" xbr="30" ybr="25"/>'
    outline = '<polygon label="dog" points="1,2;21,2;11,32"/>'
    text = f'<annotations><image name="sub/a.png" width="{W}" height="{H}">{box}{outline}</image></annotations>'
    (folder / 'cvat.xml').write_text(text)
    read = read_annotations(folder / 'cvat.xml')
    assert boxes_of(read) == {'a.png': [('cat', 10, 5, 20, 20), ('dog', 1, 2, 20, 30)]}
    (folder / 'cvat.xml').write_text(text.replace('xtl="10"', 'xtl=""'))
    with pytest.raises(AnnotationError, match='image sub/a.png: a box without numbers'):
        read_annotations(folder / 'cvat.xml')


def test_label_studio_counts_in_per_cent_and_takes_the_latest_annotation(folder):
    def result(label):
        value = dict(x=12.5, y=12.5, width=25, height=50, rectanglelabels=[label])
        return dict(result=[dict(value=value), dict(value=dict(choices=['good']))])

    tasks = [
        dict(data=dict(image='/data/upload/1/0a1b2c3d-a.png'), annotations=[result('old'), result('cat')]),
        dict(data=dict(image='/data/local-files/?d=x/b.png'), annotations=[]),
    ]
    (folder / 'tasks.json').write_text(json.dumps(tasks))
    assert boxes_of(read_annotations(folder / 'tasks.json')) == {'a.png': [('cat', 10, 5, 20, 20)], 'b.png': []}
    outline = dict(value=dict(points=[[0, 0], [50, 0], [50, 100]], polygonlabels=['dog']))
    assert label_studio_box(outline, (W, H)).xyxy == (0, 0, 40, 40)


@pytest.mark.parametrize(
    'text',
    [
        'filename,width,height,class,xmin,ymin,xmax,ymax\na.png,1,1,cat,10,5,30,25\nb.png',
        'a.png,10,5,30,25,cat\nb.png,,,,,',
    ],
    ids=['named columns', 'bare'],
)
def test_csv_with_and_without_names_of_columns(folder, text):
    (folder / 'boxes.csv').write_text(text, 'utf-8-sig')
    assert boxes_of(read_annotations(folder / 'boxes.csv')) == {'a.png': [('cat', 10, 5, 20, 20)], 'b.png': []}


def test_csv_without_a_column_names_it(folder):
    (folder / 'boxes.csv').write_text('filename,klass,xmin,ymin,xmax,ymax\n')
    with pytest.raises(AnnotationError, match='no column class; did you mean .klass'):
        read_annotations(folder / 'boxes.csv')


def test_boxes_are_cut_off_at_the_image_and_those_outside_are_counted(folder):
    (folder / 'boxes.csv').write_text('a.png,-5,-5,10,10,cat\na.png,100,0,120,9,cat\n')
    read = read_annotations(folder / 'boxes.csv')
    assert boxes_of(read) == {'a.png': [('cat', 0, 0, 10, 10)]}
    assert read.notes == [f'{folder / "boxes.csv"}: 1 boxes without area inside their image are left out']


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('a.json', '', 'a.json is empty'),
        ('a.json', '{"a": 1}', 'the format is not known. Known: COCO JSON'),
        ('a.json', '{"images": [], "annotations": []}', 'expected a COCO file with the list categories'),
        ('a.txt', 'x', 'the format is not known'),
    ],
)
def test_what_is_no_annotation_file_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(AnnotationError, match=message):
        read_annotations(tmp_path / name)
