from pathlib import Path

import mmcv
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mmdet.datasets.formats.voc_xml import parse_voc_xml
from mmdet.datasets.voc import VOCDataset
from mmdet.datasets.wider_face import WIDERFaceDataset
from mmdet.datasets.xml_style import XMLDataset

OBJECT = (
    '<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin>'
    '<xmax>{}</xmax><ymax>{}</ymax></bndbox></object>'
)


def write_xml(folder, name, objects, size_wh=(60, 40)):
    size = '<size><width>{}</width><height>{}</height></size>'.format(*size_wh) if size_wh else ''
    (folder / 'Annotations').mkdir(parents=True, exist_ok=True)
    body = ''.join(OBJECT.format(*obj) for obj in objects)
    text = f'<annotation><folder>faces</folder>{size}{body}</annotation>'
    (folder / 'Annotations' / f'{name}.xml').write_text(text)


@pytest.fixture
def voc(tmp_path):
    root = tmp_path / 'VOC2007'
    write_xml(root, 'a', [('cat', 0, 1, 1, 11, 21), ('cow', 0, 1, 1, 9, 9), ('dog', 1, 5, 5, 20, 20)])
    write_xml(root, 'b', [('cow', 0, 1, 1, 9, 9)])
    write_xml(root, 'c', [('dog', 0, '3.7', 3, 8, 8)], size_wh=None)
    mmcv.imwrite(np.zeros((48, 50, 3), np.uint8), str(root / 'JPEGImages' / 'c.jpg'))
    (root / 'list.txt').write_text('a\nb\nc\n')
    return dict(ann_file=str(root / 'list.txt'), img_prefix=str(root) + '/', pipeline=[], classes=('cat', 'dog'))


def test_annotations(voc):
    dataset = XMLDataset(**voc)
    assert [info['id'] for info in dataset.data_infos] == ['a', 'c']
    assert dataset.filtered == {'without an object of the classes': 1}
    assert (dataset.data_infos[1]['width'], dataset.data_infos[1]['height']) == (50, 48)
    assert dataset.data_infos[0]['filename'] == 'JPEGImages/a.jpg'
    ann = dataset.get_ann_info(0)
    assert_allclose(ann['bboxes'], [[0, 0, 10, 20]])
    assert_array_equal(ann['labels'], [0])
    assert_allclose(ann['bboxes_ignore'], [[4, 4, 19, 19]])
    assert_array_equal(ann['labels_ignore'], [1])
    assert_allclose(dataset.get_ann_info(1)['bboxes'], [[2, 2, 7, 7]])
    assert dataset.get_cat_ids(0) == [0, 1]


def test_small_objects_are_ignored_in_training(voc):
    assert len(XMLDataset(min_size=15, **voc).get_ann_info(0)['bboxes_ignore']) == 2
    assert len(XMLDataset(min_size=15, test_mode=True, **voc).get_ann_info(0)['bboxes_ignore']) == 1


def test_voc_2007_averages_eleven_points(voc):
    dataset = VOCDataset(test_mode=True, **voc)
    none = np.zeros((0, 5), np.float32)
    results = [[np.asarray([[0, 0, 10, 20, 0.9]], np.float32), none], [none, none], [none, none]]
    metrics = dataset.evaluate(results, logger='silent')
    assert metrics == {'AP50': 0.5, 'mAP': 0.5}
    two = dict(bboxes=np.asarray([[0, 0, 10, 20], [30, 0, 40, 20]]), labels=np.zeros(2, int))
    dataset.get_ann_info = lambda idx: two
    # one of six objects is found: the first 1/6 of recall has precision 1, two of the eleven points
    assert dataset.evaluate(results, logger='silent')['mAP'] == pytest.approx(2 / 11)
    recall = dataset.evaluate([r[0] for r in results], metric='recall', proposal_nums=(1,), logger='silent')
    assert recall == {'recall@1@0.5': pytest.approx(1 / 6)}


def test_voc_2012_averages_the_area(voc, tmp_path):
    (tmp_path / 'VOC2012').symlink_to(tmp_path / 'VOC2007')
    dataset = VOCDataset(test_mode=True, **dict(voc, img_prefix=str(tmp_path / 'VOC2012')))
    assert dataset.year == 2012
    two = dict(bboxes=np.asarray([[0, 0, 10, 20], [30, 0, 40, 20]]), labels=np.zeros(2, int))
    dataset.get_ann_info = lambda idx: two
    none = np.zeros((0, 5), np.float32)
    results = [[np.asarray([[0, 0, 10, 20, 0.9]], np.float32), none], [none, none], [none, none]]
    assert dataset.evaluate(results, logger='silent')['mAP'] == pytest.approx(1 / 6)  # one of six, at precision 1


def test_the_year_must_be_known(voc, tmp_path):
    (tmp_path / 'cells').symlink_to(tmp_path / 'VOC2007')
    with pytest.raises(ValueError, match="holds neither 'VOC2007' nor 'VOC2012'"):
        VOCDataset(**dict(voc, img_prefix=str(tmp_path / 'cells')))


def test_wider_face_images_lie_in_their_folder(voc):
    with pytest.raises(FileNotFoundError, match='faces/c.jpg'):  # its size is not in the XML
        WIDERFaceDataset(**voc)
    Path(voc['ann_file']).write_text('a')
    assert WIDERFaceDataset(**voc).data_infos[0]['filename'] == 'faces/a.jpg'


def test_faults_are_named(voc, tmp_path):
    with pytest.raises(ValueError, match='XML files do not list their classes'):
        XMLDataset(**dict(voc, classes=None))
    path = tmp_path / 'x.xml'
    path.write_text('<annotation><object></annotation>')
    with pytest.raises(ValueError, match='x.xml is no valid XML'):
        parse_voc_xml(str(path))
    path.write_text('<annotation><object><name>cat</name></object></annotation>')
    with pytest.raises(ValueError, match='x.xml: an object has no name, or no bndbox'):
        parse_voc_xml(str(path))


def test_names_may_be_changed_to_classes(voc):
    classes = ('mammal',)
    dataset = XMLDataset(**{**voc, 'classes': classes}, rename=dict(cat='mammal', cow='mammal', dog=None))
    assert [info['id'] for info in dataset.data_infos] == ['a', 'b']
    assert_array_equal(dataset.get_ann_info(0)['labels'], [0, 0])
    assert dataset.annotated_classes() is None
    some = XMLDataset(**{**voc, 'classes': ('cow', 'bird')}, source_classes=['cat', 'bird'], rename=dict(cat='cow'))
    assert some.annotated_classes() == ['cow', 'bird'] and some.cat2label == dict(cat=0, bird=1)


def test_words_in_place_of_numbers_count_as_not_given(tmp_path):
    (tmp_path / 'a.xml').write_text(
        '<annotation><size><width>Unknown</width><height>inf</height></size><object><name>a</name>'
        '<difficult>Unspecified</difficult><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>'
        '</object></annotation>'
    )
    found = parse_voc_xml(str(tmp_path / 'a.xml'))
    assert (found.width, found.height, found.difficult.tolist()) == (0, 0, [False])
