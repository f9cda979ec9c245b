"""Annotations in odd but common forms."""

import json

import pytest
from odd_annotations import CAT, H, W, boxes_of
from PIL import Image

from mmdet.apis.configuring import AnnotationError, read_annotations

OBJECT = (
    '<object><name>cat</name><bndbox><xmin>11</xmin><ymin>6</ymin><xmax>30</xmax><ymax>25.7</ymax></bndbox></object>'
)
SIZE = f'<size><width>{W}</width><height>{H}</height></size>'


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


def test_xml_of_sub_folders_means_the_image_in_the_same_one(folder):
    for part, label in (('x', 'cat'), ('y', 'dog')):
        for parent in ('Annotations', 'JPEGImages'):
            (folder / parent / part).mkdir(parents=True)
        Image.new('RGB', (W, H)).save(folder / 'JPEGImages' / part / '1.png')
        write_voc(folder / 'Annotations' / part, '1', SIZE + OBJECT.replace('cat', label))
    assert boxes_of(read_annotations(folder)) == {'x/1.png': [CAT], 'y/1.png': [('dog', *CAT[1:])]}


def test_empty_xml_is_named(folder):
    (folder / 'a.xml').write_text('')
    with pytest.raises(AnnotationError, match='a.xml is no valid XML'):
        read_annotations(folder)


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


RECTANGLE = dict(label='cat', points=[[30, 25], [10, 5]], shape_type='rectangle')


def test_labelme_files_of_sub_folders_mean_the_image_beside_them(folder):
    for name, label in (('x', 'cat'), ('y', 'dog')):
        (folder / name).mkdir()
        Image.new('RGB', (W, H)).save(folder / name / 'a.png')
        shapes = [{**RECTANGLE, 'label': label}, dict(label='p', points=[[1, 1]], shape_type='point')]
        (folder / name / 'a.JSON').write_text(json.dumps(dict(shapes=shapes, imagePath='a.png')))
    read = read_annotations(folder)
    assert boxes_of(read) == {'x/a.png': [CAT], 'y/a.png': [('dog', *CAT[1:])]}
    assert read.notes == [f'{folder}: left out: 2 shapes of the kind point, which have no area']


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(points=[]), 'shape 0: rectangle of 0 points'),
        (dict(label=None), 'shape 0: expected the name of a class, got None'),
        (dict(points=[['a', 1], [2, 3]]), 'a.json: shape 0: '),
    ],
)
def test_labelme_shapes_that_are_none_are_named(folder, change, message):
    (folder / 'a.json').write_text(json.dumps(dict(shapes=[{**RECTANGLE, **change}])))
    with pytest.raises(AnnotationError, match=message):
        read_annotations(folder)


def test_cvat_boxes_and_polygons(folder):
    box = '<box label="cat" xtl="10" ytl="5" xbr="30" ybr="25"/>'
    outline = '<polygon label="dog" points="1,2;21,2;11,32"/>'
    text = f'<annotations><image name="sub/a.png" width="{W}" height="{H}">{box}{outline}</image></annotations>'
    (folder / 'cvat.xml').write_text(text)
    read = read_annotations(folder / 'cvat.xml')
    assert boxes_of(read) == {'a.png': [('cat', 10, 5, 20, 20), ('dog', 1, 2, 20, 30)]}
    (folder / 'cvat.xml').write_text(text.replace('xtl="10"', 'xtl=""'))
    with pytest.raises(AnnotationError, match="image sub/a.png: box of 'cat': could not convert"):
        read_annotations(folder / 'cvat.xml')


@pytest.mark.parametrize(
    ('element', 'box', 'left_out'),
    [
        ('<box label="cat" xtl="10" ytl="10" xbr="30" ybr="20" rotation="90.0"/>', (15, 5, 10, 20), ''),
        ('<ellipse label="cat" cx="20" cy="15" rx="10" ry="5" rotation="90"/>', (15, 5, 10, 20), ''),
        ('<mask label="cat" rle="0" left="10" top="5" width="20" height="20"/>', CAT[1:], 'outlines of masks, whose'),
        ('<polyline label="cat" points="1,2;3,4"/>', None, 'shapes of the kind polyline, which'),
        ('<tag label="cat"/>', None, ''),
    ],
)
def test_cvat_elements(folder, element, box, left_out):
    text = f'<annotations><image name="a.png" width="{W}" height="{H}">{element}</image></annotations>'
    (folder / 'cvat.xml').write_text(text)
    read = read_annotations(folder / 'cvat.xml')
    assert boxes_of(read) == {'a.png': [('cat', *box)] if box else []}
    assert len(read.notes) == bool(left_out) and left_out in ''.join(read.notes)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('<annotations><track label="cat"/></annotations>', 'got the tracks of a video'),
        (
            '<annotations><image name="a.png"><box xtl="1" ytl="1" xbr="2" ybr="2"/></image></annotations>',
            'name of a class',
        ),
    ],
)
def test_cvat_of_another_kind_is_named(folder, text, message):
    (folder / 'cvat.xml').write_text(text)
    with pytest.raises(AnnotationError, match=message):
        read_annotations(folder / 'cvat.xml')


def test_coco_may_be_given_by_its_folder_in_any_encoding_and_without_sizes(folder):
    ann = dict(id=1, image_id=1, category_id='3', bbox=list(CAT[1:]))
    content = dict(images=[dict(id=1, file_name='a.png')], annotations=[ann], categories=[dict(id=3, name='cat')])
    (folder / 'anything.json').write_text(json.dumps(content), 'utf-16')
    read = read_annotations(folder)
    assert boxes_of(read) == {'a.png': [CAT]} and read.path == folder / 'anything.json'
    assert (read.content['images'][0]['width'], read.content['images'][0]['height']) == (W, H)
    (folder / 'other.json').write_text(json.dumps({**content, 'annotations': [{**ann, 'bbox': [1]}]}))
    with pytest.raises(AnnotationError, match='has 2 files of annotations; give one: .*anything.json'):
        read_annotations(folder)
    with pytest.raises(AnnotationError, match='bbox of 1 annotations must be a list of four'):
        read_annotations(folder / 'other.json')


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
