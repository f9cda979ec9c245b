"""Headers of image files: all of them, with the orientation as training sees it."""

import os

import cv2
import numpy as np
import pytest
from coco_files import coco_content
from PIL import Image

from mmdet.datasets import CocoDataset
from mmdet.datasets.audit.broken_images import BrokenImageError
from mmdet.datasets.audit.files import check_image_files, header_size
from mmdet.datasets.pipelines.loading import LoadImageFromFile


def save_turned(path, size_wh):
    """A JPEG of that size whose EXIF turns it by a right angle."""
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(np.zeros((size_wh[1], size_wh[0], 3), np.uint8)).save(path, exif=exif)


def many(write_coco, tmp_path, count=40, **load):
    path = write_coco(coco_content([[(5, 0, 0, 10, 10)]] * count), images=True)
    pipeline = [dict(type='LoadImageFromFile', **load)]
    return CocoDataset(path, pipeline, classes=('cat',), img_prefix=str(tmp_path))


def test_headers_of_all_files_are_read_beside_the_samples(write_coco, tmp_path):
    dataset = many(write_coco, tmp_path)
    assert check_image_files(dataset, None) == []
    cv2.imwrite(str(tmp_path / '3.png'), np.zeros((64, 48, 3), np.uint8))  # no sample of 40
    (tmp_path / '8.png').write_bytes(b'no image')
    sampled = check_image_files(dataset, 32)
    broken, wrong = check_image_files(dataset, None)
    assert sampled == [] and '1 of 40 images looked at cannot be read' in broken and '8.png' in broken
    assert '1 of 40 images looked at have another size' in wrong and '3.png (64x48 stated, 48x64 read)' in wrong


@pytest.mark.parametrize('color_type', ['color', 'color_ignore_orientation', 'unchanged'])
def test_header_agrees_with_what_is_loaded(tmp_path, color_type):
    save_turned(tmp_path / 'a.jpg', (64, 48))
    loaded = LoadImageFromFile(color_type=color_type)(
        dict(img_info=dict(filename=str(tmp_path / 'a.jpg')), img_prefix=None)
    )
    assert header_size(str(tmp_path / 'a.jpg'), color_type == 'color') == loaded['img'].shape[1::-1]


def test_missing_files(tmp_path):
    with pytest.raises(BrokenImageError, match='image file not found'):
        header_size(str(tmp_path / 'b.jpg'), True)


def test_size_is_compared_whenever_an_image_is_loaded(tmp_path):
    save_turned(tmp_path / 'a.jpg', (64, 48))
    results = dict(img_info=dict(filename='a.jpg', width=64, height=48), img_prefix=str(tmp_path))
    with pytest.raises(BrokenImageError, match=r'a\.jpg is 48x64 px, but the annotations say 64x48.*color_ignore'):
        LoadImageFromFile()(dict(results))
    assert LoadImageFromFile(color_type='color_ignore_orientation')(dict(results))['img'].shape == (48, 64, 3)
    results['img_info']['width'] = 65
    with pytest.raises(BrokenImageError, match='do not fit$'):
        LoadImageFromFile(color_type='color_ignore_orientation')(dict(results))


def make_fifo(path):
    os.mkfifo(path)


@pytest.mark.parametrize(
    ('make', 'text'),
    [
        (make_fifo, 'is a pipe or a device, not a file'),
        (lambda path: path.symlink_to('/dev/zero'), 'is a pipe or a device, not a file'),
        (lambda path: path.mkdir(), 'is a folder, not a file'),
        (lambda path: path.symlink_to(path), 'Too many levels of symbolic links'),
    ],
)
def test_what_is_no_file_neither_hangs_nor_fills_the_memory(tmp_path, make, text):
    make(tmp_path / 'a.jpg')
    with pytest.raises(BrokenImageError, match=f'a.jpg:? {text}'):
        header_size(str(tmp_path / 'a.jpg'), True)
    with pytest.raises(BrokenImageError, match=f'a.jpg:? {text}'):
        LoadImageFromFile()(dict(img_info=dict(filename='a.jpg'), img_prefix=str(tmp_path)))
