import importlib.util
import json
from pathlib import Path

import mmcv
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.custom import CustomDataset

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location('pascal_voc', ROOT / 'tools' / 'dataset_converters' / 'pascal_voc.py')
pascal_voc = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(pascal_voc)

XML = (
    '<annotation><size><width>60</width><height>40</height></size>'
    '{}</annotation>'
)  # fmt: skip
OBJECT = (
    '<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin>'
    '<xmax>{}</xmax><ymax>{}</ymax></bndbox></object>'
)
IMAGES = {
    'a': [('cat', 0, 1, 1, 60, 40), ('dog', 1, 11, 11, 20, 30), ('cat', 0, 7, 8, 7, 8)],
    'b': [],
}


def write_voc(root, images=IMAGES, splits=None):
    for folder in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
        (root / folder).mkdir(parents=True)
    for name, objects in images.items():
        text = XML.format(''.join(OBJECT.format(*obj) for obj in objects))
        (root / 'Annotations' / f'{name}.xml').write_text(text)
        mmcv.imwrite(np.zeros((40, 60, 3), np.uint8), str(root / 'JPEGImages' / f'{name}.png'))
    for split, names in (splits or {'train': ['a', 'b'], 'test': ['b']}).items():
        (root / 'ImageSets' / 'Main' / f'{split}.txt').write_text('\n'.join(names) + '\n')
    return root


def test_one_data_set_to_coco_and_back(tmp_path, capsys):
    root = write_voc(tmp_path / 'cells')
    pascal_voc.main([str(root), '-o', str(tmp_path / 'out'), '--out-format', 'coco'])
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['test.json', 'train.json']
    out = capsys.readouterr().out
    assert '2 images, 2 boxes (cat 1, dog 1)' in out
    assert 'JPEGImages/a.png: box [7, 8, 7, 8] has no area; left out' in out
    dataset = CocoDataset(
        f'{tmp_path}/out/train.json',
        [dict(type='LoadImageFromFile')],
        classes=('cat', 'dog'),
        img_prefix=str(root),
        test_mode=True,
    )
    ann = dataset.get_ann_info(0)
    assert_allclose(ann['bboxes'], [[0, 0, 60, 40]])  # over the whole image
    assert_array_equal(ann['labels'], [0])
    assert_allclose(ann['bboxes_ignore'], [[10, 10, 20, 30]])  # difficult
    assert dataset[0]['img_shape'] == (40, 60, 3)
    assert len(dataset.get_ann_info(1)['bboxes']) == 0


def test_boxes_without_area_can_be_kept(tmp_path):
    root = write_voc(tmp_path / 'cells')
    pascal_voc.main([str(root), '--out-format', 'coco', '--keep-degenerate', '--classes', 'dog', 'cat'])
    content = json.loads((root / 'train.json').read_text())
    assert [ann['category_id'] for ann in content['annotations']] == [2, 1, 2]
    assert content['annotations'][2]['bbox'] == [6, 7, 1, 1]
    assert [cat['name'] for cat in content['categories']] == ['dog', 'cat']
    assert [ann['iscrowd'] for ann in content['annotations']] == [0, 1, 0]


def test_devkit_of_both_years_to_pickle(tmp_path):
    person = {'a': [('person', 0, 1, 1, 9, 9)]}
    write_voc(tmp_path / 'VOC2007', person, {'train': ['a'], 'test': ['a']})
    write_voc(tmp_path / 'VOC2012', person, {'train': ['a']})
    pascal_voc.main([str(tmp_path)])
    written = {path.name for path in tmp_path.glob('*.pkl')}
    assert written == {'voc07_train.pkl', 'voc07_test.pkl', 'voc12_train.pkl', 'voc0712_train.pkl'}
    dataset = CustomDataset(f'{tmp_path}/voc0712_train.pkl', [], classes=pascal_voc.voc_classes(), test_mode=True)
    assert [info['filename'] for info in dataset.data_infos] == [f'VOC{y}/JPEGImages/a.png' for y in (2007, 2012)]
    assert_allclose(dataset.get_ann_info(1)['bboxes'], [[0, 0, 9, 9]])
    assert_array_equal(dataset.get_ann_info(1)['labels'], [14])


def test_corners_out_of_the_image_are_cut_off():
    boxes = pascal_voc.to_zero_based(np.asarray([[0, -3, 61, 50], [60, 40, 60, 40]]), 60, 40)
    assert_allclose(boxes, [[0, 0, 60, 40], [59, 39, 60, 40]])


def test_faults_are_named(tmp_path):
    root = write_voc(tmp_path / 'cells')
    with pytest.raises(ValueError, match=r"a.xml: class 'cat' is not among \('cats',\); did you mean 'cats'"):
        pascal_voc.main([str(root), '--classes', 'cats'])
    with pytest.raises(ValueError, match='expected a devkit with VOC2007 or VOC2012 in it'):
        pascal_voc.main([str(tmp_path)])
    for path in (root / 'ImageSets' / 'Main').iterdir():
        path.unlink()
    with pytest.raises(SystemExit, match='no split'):
        pascal_voc.main([str(root)])


def test_flat_folder_of_labelimg_goes_into_one_file(tmp_path):
    for name, objects in IMAGES.items():
        (tmp_path / f'{name}.xml').write_text(XML.format(''.join(OBJECT.format(*obj) for obj in objects)))
        mmcv.imwrite(np.zeros((40, 60, 3), np.uint8), str(tmp_path / f'{name}.png'))
    pascal_voc.main([str(tmp_path), '-o', str(tmp_path / 'out'), '--out-format', 'coco'])
    content = json.loads((tmp_path / 'out/all.json').read_text())
    assert [image['file_name'] for image in content['images']] == ['a.png', 'b.png']
    assert [cat['name'] for cat in content['categories']] == ['cat', 'dog'] and len(content['annotations']) == 2


def test_any_split_by_name_or_path(tmp_path):
    write_voc(tmp_path, splits={'night': ['b']})
    (tmp_path / 'list.txt').write_text('\ufeffa.png\n', encoding='utf-8')
    splits = ['--splits', 'night', str(tmp_path / 'list.txt')]
    pascal_voc.main([str(tmp_path), '-o', str(tmp_path / 'out'), '--out-format', 'coco', *splits])
    names = {
        file.stem: [image['file_name'] for image in json.loads(file.read_text())['images']]
        for file in (tmp_path / 'out').iterdir()
    }
    assert names == {'night': ['JPEGImages/b.png'], 'list': ['JPEGImages/a.png']}
    with pytest.raises(SystemExit, match='there is no split nihgt in ImageSets/Main'):
        pascal_voc.main([str(tmp_path), '-o', str(tmp_path / 'out'), '--splits', 'nihgt'])
