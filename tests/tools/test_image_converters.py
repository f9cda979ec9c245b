"""The scripts that make COCO files of Cityscapes and of folders of images, run as processes."""

import json

import numpy as np
import pycocotools.mask as mask_utils
import pytest
from PIL import Image
from process import ROOT, python

from mmdet.datasets import CityscapesDataset, CocoDataset

FOLDER = ROOT / 'tools' / 'dataset_converters'


def run(script, *arguments):
    return python(FOLDER / f'{script}.py', *arguments, check=False)


@pytest.fixture
def cityscapes(tmp_path):
    ids = np.full((48, 64), 7, np.uint16)  # road
    ids[2:6, 3:9] = 24001  # a person
    ids[20:30, 20:30] = 26  # a group of cars
    ids[40:44, 40:44] = 29000  # a caravan, which is not evaluated
    for folder, suffix, image in (
        ('leftImg8bit', 'leftImg8bit', Image.new('RGB', (64, 48))),
        ('gtFine', 'gtFine_instanceIds', Image.fromarray(ids)),
    ):
        city = tmp_path / folder / 'val' / 'ulm'
        city.mkdir(parents=True)
        image.save(city / f'ulm_0_{suffix}.png')
    return tmp_path


@pytest.mark.parametrize('processes', [1, 2])
def test_cityscapes(cityscapes, processes):
    done = run('cityscapes', cityscapes, '-o', cityscapes / 'out', '--nproc', processes)
    assert done.returncode == 0, done.stderr
    path = cityscapes / 'out' / 'instancesonly_filtered_gtFine_val.json'
    content = json.loads(path.read_text())
    image = dict(id=0, file_name='ulm/ulm_0_leftImg8bit.png', height=48, width=64)
    assert content['images'] == [image | dict(segm_file='val/ulm/ulm_0_gtFine_instanceIds.png')]
    car, person = sorted(content['annotations'], key=lambda ann: ann['inst_id'])
    assert (car['category_id'], car['iscrowd'], car['area']) == (26, 1, 100)
    assert (person['category_id'], person['iscrowd'], person['bbox'], person['area']) == (24, 0, [3, 2, 6, 4], 24)
    assert mask_utils.decode(person['segmentation'])[2:6, 3:9].all()
    dataset = CityscapesDataset(str(path), [], img_prefix=str(cityscapes / 'leftImg8bit' / 'val'))
    assert dataset.get_ann_info(0)['labels'].tolist() == [0] and len(dataset.get_ann_info(0)['bboxes_ignore']) == 1


def test_cityscapes_names_what_is_missing(cityscapes, tmp_path):
    next((cityscapes / 'gtFine').rglob('*.png')).unlink()
    done = run('cityscapes', cityscapes)
    assert done.returncode == 1 and 'ulm_0_gtFine_instanceIds.png is not there' in done.stderr
    assert 'there is none of train, val, test' in run('cityscapes', tmp_path / 'nowhere').stderr


def test_cityscapes_refuses_a_coloured_picture_as_map(cityscapes):
    truth = next((cityscapes / 'gtFine').rglob('*.png'))
    Image.new('RGB', (64, 48)).save(truth)
    done = run('cityscapes', cityscapes)
    assert done.returncode == 1 and 'instanceIds.png has 3 channels; a map of instance ids has one' in done.stderr


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / 'images'
    (folder / 'sub').mkdir(parents=True)
    Image.new('RGB', (30, 20)).save(folder / 'b.png')
    Image.new('RGB', (40, 20)).save(folder / 'sub' / 'a.bmp')
    turned = Image.Exif()
    turned[274] = 6  # the camera was held upright
    Image.new('RGB', (30, 20)).save(folder / 'c.JPG', exif=turned)
    (folder / 'notes.txt').write_text('')
    (tmp_path / 'classes.txt').write_text('cat\ndog\n')
    return folder


def test_images2coco(images, tmp_path):
    done = run('images2coco', images, tmp_path / 'classes.txt', 'test.json')
    assert done.returncode == 0, done.stderr
    assert '3 images, 0 objects (cat 0, dog 0); 1 other files left out' in done.stdout
    path = tmp_path / 'annotations' / 'test.json'
    content = json.loads(path.read_text())
    sizes = [(img['id'], img['file_name'], img['width'], img['height']) for img in content['images']]
    assert sizes == [(0, 'b.png', 30, 20), (1, 'c.JPG', 20, 30), (2, 'sub/a.bmp', 40, 20)]
    assert [(cat['id'], cat['name']) for cat in content['categories']] == [(0, 'cat'), (1, 'dog')]
    load = [dict(type='LoadImageFromFile')]
    dataset = CocoDataset(str(path), load, classes=('cat', 'dog'), img_prefix=str(images), test_mode=True)
    assert dataset[1]['img_shape'] == (30, 20, 3)  # as the loader shows it


def test_images2coco_leaves_endings_out_and_names_faults(images, tmp_path):
    classes = tmp_path / 'classes.txt'
    done = run('images2coco', images, classes, 'test.json', '-e', 'png', '.BMP')
    assert '1 images' in done.stdout and '3 other files' in done.stdout
    (images / 'broken.png').write_bytes(b'')
    done = run('images2coco', images, classes, 'other.json')
    assert done.returncode == 1 and 'broken.png cannot be read as an image' in done.stderr
    assert not (tmp_path / 'annotations' / 'other.json').exists()
    assert 'is no folder' in run('images2coco', tmp_path / 'no', classes, 'a.json').stderr
