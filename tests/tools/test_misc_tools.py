"""The tools of ``tools/misc``, each as one process."""

import json
import pickle
import re

import cv2
import numpy as np
from tool_process import run_tool

MISC = 'tools/misc'
MIXED = """
_base_ = '{folder}/tiny.py'
data = dict(train=dict(_delete_=True, type='ConcatDataset', datasets=[
    dict(type='CocoDataset', classes=('red', 'green'), ann_file='{folder}/ann.json', img_prefix='{folder}/img/',
         filter_empty_gt=False, pipeline=[
             dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
             dict(type='Pad', size_divisor=80),
             dict(type='Normalize', mean=[100.0, 90.0, 80.0], std=[50.0, 40.0, 30.0], to_rgb=True),
             dict(type='DefaultFormatBundle'),
             dict(type='RobustCollect', keys=['img', 'gt_bboxes', 'gt_labels'])])] * 2))
"""


def browse(config, folder, *options):
    return run_tool(*(f'{MISC}/browse_dataset.py', config, '--output-dir', folder / 'out', '--not-show', *options))


def test_browse_dataset_draws_what_is_trained_on_with_a_caption(world, tmp_path):
    browse(world / 'tiny.py', tmp_path)
    pictures = {path.name: cv2.imread(str(path)) for path in (tmp_path / 'out').iterdir()}
    assert sorted(pictures) == [f'{i}.png' for i in range(8)]
    # 64 px images are drawn 7 times as large, above three lines of caption
    assert pictures['0.png'].shape == (448 + 3 * 18, 448, 3)
    assert (pictures['0.png'][448:] < 100).any()
    # the crowd of image 7 is marked in the colour of ignored boxes, which no other picture has
    yellow = [(np.abs(picture.astype(int) - (0, 212, 255)).max(-1) < 40).sum() for picture in pictures.values()]
    assert [name for name, count in zip(pictures, yellow) if count > 200] == ['7.png']


def test_browse_dataset_undoes_normalisation_and_gives_repeated_images_names_of_their_own(world, tmp_path):
    (tmp_path / 'mixed.py').write_text(MIXED.format(folder=world))
    done = browse(tmp_path / 'mixed.py', tmp_path, '--skip-type', 'Mosaic')  # which it has not
    names = {path.name for path in (tmp_path / 'out').iterdir()}
    assert {'0.png', '0_1.png'} <= names and len(names) == 16 and '16 images' in done.text
    # image 6 has no objects, and 64 px of it are padded to 80, drawn 6 times as large
    picture, image = cv2.imread(str(tmp_path / 'out/6.png')), cv2.imread(str(world / 'img/6.png'))
    assert np.abs(picture[3 : 64 * 6 : 6, 3 : 64 * 6 : 6].astype(int) - image).mean() < 12


KEYPOINTS = """
_base_ = '{folder}/tiny.py'
data = dict(train=dict(type='CocoKeypointDataset', skeleton='shape', ann_file='{file}', pipeline=[
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True, with_keypoints=True)]))
"""


def test_browse_dataset_draws_the_skeleton_of_keypoints(world, tmp_path):
    content = json.loads((world / 'ann.json').read_text())
    corners = [4, 60, 2, 60, 60, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    for ann in content['annotations']:
        ann.update(keypoints=corners, num_keypoints=2)
    (tmp_path / 'points.json').write_text(json.dumps(content))
    (tmp_path / 'points.py').write_text(KEYPOINTS.format(folder=world, file=tmp_path / 'points.json'))
    browse(tmp_path / 'points.py', tmp_path)
    row = cv2.imread(str(tmp_path / 'out/0.png'))[423, 280:392].astype(int)  # pixel 60, 7 times as large
    assert np.abs(row - row[0]).max() < 12 and row[0].max() > 90  # one colour from corner to corner


def test_print_config_applies_options(world, tmp_path):
    done = run_tool(f'{MISC}/print_config.py', world / 'tiny.py', '--cfg-options', 'optimizer.lr=0.5')
    assert 'lr=0.5' in done.text


def test_split_coco_parts_are_complete_and_apart(world, tmp_path):
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'annotations/instances_train2017.json').write_bytes((world / 'ann.json').read_bytes())
    options = ('--data-root', tmp_path, '--out-dir', tmp_path / 'out', '--labeled-percent', 25, 50, '--fold', 2)
    run_tool(f'{MISC}/split_coco.py', *options)
    names = sorted(path.name for path in (tmp_path / 'out').iterdir())
    stem = 'instances_train2017'
    assert names == sorted(f'{stem}.{f}@{p}{e}.json' for f in (1, 2) for p in (25, 50) for e in ('', '-unlabeled'))
    some, rest = (json.loads((tmp_path / f'out/{stem}.1@25{e}.json').read_text()) for e in ('', '-unlabeled'))
    ids = [[image['id'] for image in part['images']] for part in (some, rest)]
    assert len(ids[0]) == 2 and sorted(ids[0] + ids[1]) == list(range(8))
    assert {ann['image_id'] for ann in some['annotations']} <= set(ids[0])
    assert len(some['annotations']) + len(rest['annotations']) == 7


def test_gen_coco_panoptic_test_info_joins_images_and_categories(tmp_path):
    (tmp_path / 'image_info_test-dev2017.json').write_text(json.dumps(dict(images=[dict(id=3)], categories=[])))
    panoptic = tmp_path / 'panoptic_val2017.json'
    script = f'{MISC}/gen_coco_panoptic_test_info.py'
    assert 'panoptic_val2017.json' in run_tool(script, tmp_path, check=False).error
    panoptic.write_text(json.dumps(dict(images=[], categories=[dict(id=1, isthing=1)])))
    run_tool(script, tmp_path)
    made = json.loads((tmp_path / 'panoptic_image_info_test-dev2017.json').read_text())
    assert made == dict(images=[dict(id=3)], categories=[dict(id=1, isthing=1)])


def test_get_image_metas_reads_sizes_of_images(world, tmp_path):
    (tmp_path / 'rows.csv').write_text('ImageID,LabelName\nb,x\na,x\nb,y\n')
    for name, size in (('a', (5, 7, 3)), ('b', (4, 6, 3))):
        cv2.imwrite(str(tmp_path / f'{name}.jpg'), np.zeros(size, np.uint8))
    val = dict(type='OpenImagesDataset', ann_file=f'{tmp_path}/rows.csv', img_prefix=str(tmp_path))
    (tmp_path / 'c.py').write_text(f'data = dict(val={val!r}, test={val!r}, train={val!r})')
    run_tool(f'{MISC}/get_image_metas.py', tmp_path / 'c.py', '--out', tmp_path / 'm.pkl')
    metas = pickle.loads((tmp_path / 'm.pkl').read_bytes())
    assert metas == [dict(filename='b.jpg', ori_shape=(4, 6, 3)), dict(filename='a.jpg', ori_shape=(5, 7, 3))]
    run_tool(f'{MISC}/get_image_metas.py', world / 'tiny.py', '--out', tmp_path / 'm.pkl', '--nproc', 1)
    assert len(pickle.loads((tmp_path / 'm.pkl').read_bytes())) == 8


def test_browse_dataset_with_nothing_to_do_says_so(world, tmp_path):
    done = run_tool(f'{MISC}/browse_dataset.py', world / 'tiny.py', '--not-show', check=False)
    assert done.status == 1 and re.search('give --output-dir', done.error)
