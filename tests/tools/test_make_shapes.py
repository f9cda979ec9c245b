"""The generator of drawn data sets, run as a process."""

import hashlib
import importlib.util
import json
import sys

import cv2
import numpy as np
import pytest
from process import ROOT, python
from pycocotools import mask as coco_mask

SCRIPT = ROOT / 'tools' / 'dataset_converters' / 'make_shapes.py'
SPEC = importlib.util.spec_from_file_location('make_shapes', SCRIPT)
make_shapes = importlib.util.module_from_spec(SPEC)
sys.path.insert(0, str(SCRIPT.parent))  # as running the script would
SPEC.loader.exec_module(make_shapes)


def make(folder, *options):
    return python(SCRIPT, folder, *options, check=False)


def annotations(folder, name):
    return json.loads((folder / 'annotations' / f'{name}.json').read_text())


@pytest.fixture(scope='module')
def shapes(tmp_path_factory):
    folder = tmp_path_factory.mktemp('shapes')
    run = make(folder, '--clean', 6, '--partial', 8, '--val', 3, '--seed', 4, '--classes', 'disc', 'star', 'ring')
    assert run.returncode == 0, run.stderr
    return folder


def test_shapes_files_have_the_stated_sizes_and_classes(shapes):
    coco = annotations(shapes, 'clean')
    assert [c['name'] for c in coco['categories']] == ['disc', 'star', 'ring']
    assert len(coco['images']) == len(list((shapes / 'clean').glob('*.png'))) == 6
    for image in coco['images']:
        assert cv2.imread(str(shapes / 'clean' / image['file_name'])).shape == (image['height'], image['width'], 3)


def test_shapes_boxes_are_tight_around_their_masks(shapes):
    for row in annotations(shapes, 'val')['annotations']:
        ys, xs = np.nonzero(coco_mask.decode(row['segmentation']))
        x, y, w, h = row['bbox']
        assert [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1] == [x, y, x + w, y + h]
        assert row['area'] == len(xs)


def test_shapes_partial_set_lacks_half_of_its_boxes(shapes):
    complete, partial = annotations(shapes, 'partial_complete'), annotations(shapes, 'partial')
    count = len(complete['annotations'])
    assert len(partial['annotations']) == count - round(count / 2)
    assert {a['id'] for a in partial['annotations']} < {a['id'] for a in complete['annotations']}
    assert partial['images'] == complete['images']


def test_shapes_larger_set_of_the_same_seed_begins_alike(shapes, tmp_path):
    make(tmp_path, '--clean', 2, '--partial', 0, '--val', 0, '--seed', 4, '--classes', 'disc', 'star', 'ring')
    for name in ('000000.png', '000001.png'):
        assert (tmp_path / 'clean' / name).read_bytes() == (shapes / 'clean' / name).read_bytes()


def test_shapes_another_seed_draws_other_images(shapes, tmp_path):
    make(tmp_path, '--clean', 1, '--partial', 0, '--val', 0, '--seed', 5, '--classes', 'disc', 'star', 'ring')
    assert (tmp_path / 'clean' / '000000.png').read_bytes() != (shapes / 'clean' / '000000.png').read_bytes()


@pytest.mark.parametrize('option, value', [('--missing', '1.5'), ('--size', '10'), ('--classes', 'cube')])
def test_shapes_impossible_option_names_it(tmp_path, option, value):
    run = make(tmp_path, option, value)
    assert run.returncode == 2
    assert option in run.stderr


def test_shapes_keypoints_are_corners_and_centre(shapes):
    coco = annotations(shapes, 'clean')
    category = coco['categories'][0]
    assert category['keypoints'] == ['top_left', 'top_right', 'bottom_right', 'bottom_left', 'centre']
    assert np.array(category['skeleton']).min() == 1 and np.array(category['skeleton']).max() == 5
    flags = []
    for row in coco['annotations']:
        points = np.array(row['keypoints']).reshape(5, 3)
        assert row['num_keypoints'] == (points[:, 2] > 0).sum()
        flags += points[:, 2].tolist()
        x, y, w, h = row['bbox']
        if (points[:, 2] == 2).all():
            assert (points[:, :2] >= np.array([x, y]) - 2).all() and (
                points[:, :2] <= np.array([x + w, y + h]) + 1
            ).all()
            sides = points[:4, :2] - points[4, :2]
            assert (sides[[0, 3], 0] < 0).all() and (sides[:2, 1] <= sides[2:, 1]).all()
    assert set(flags) == {0, 2} or set(flags) == {0, 1, 2}


def test_shapes_covered_keypoints_are_hidden_and_outer_ones_unlabelled():
    points = make_shapes.shape_keypoints('square', np.array([20.0, 30.0]), 14.142, 1.0, 0.0, 64)
    assert np.allclose(points[:, :2], [[10, 20], [30, 20], [30, 40], [10, 40], [20, 30]], atol=1e-3)
    mask = np.zeros((64, 64), bool)
    mask[15:25, 25:35] = True
    assert make_shapes.hide_covered(points, mask)[:, 2].tolist() == [2, 1, 2, 2, 2]
    cut = make_shapes.shape_keypoints('square', np.array([5.0, 30.0]), 14.142, 1.0, 0.0, 64)
    assert cut[:, 2].tolist() == [0, 2, 2, 0, 2] and not cut[[0, 3]].any()


def test_shapes_corners_turn_with_their_shape():
    centre = np.array([32.0, 32.0])
    for angle in np.linspace(-0.4, 0.4, 9):
        tip = centre + 20 * np.array([np.cos(angle), np.sin(angle)])
        points = make_shapes.shape_keypoints('triangle', centre, 20, 1.0, angle, 64)[:, :2]
        assert np.allclose(points[1:3], tip) and points[0, 1] < 32 < points[3, 1]
        turned = make_shapes.shape_keypoints('disc', centre, 20, 1.0, angle, 64)[:4, :2] - centre
        assert np.allclose(turned, make_shapes.DIRECTIONS * 20 / 2**0.5, atol=1.6)  # its outline has 40 corners


def test_shapes_of_another_style_show_the_same_things_in_another_way(shapes, tmp_path):
    options = ('--clean', 3, '--partial', 0, '--val', 0, '--seed', 4, '--classes', 'disc', 'star', 'ring')
    make(tmp_path, *options, '--style', 'dusk')
    rows = [row for row in annotations(shapes, 'clean')['annotations'] if row['image_id'] <= 3]
    assert annotations(tmp_path, 'clean')['annotations'] == rows
    for name in ('000000.png', '000001.png', '000002.png'):
        plain, dusk = (cv2.imread(str(folder / 'clean' / name)).astype(float) for folder in (shapes, tmp_path))
        assert dusk[..., 0].mean() > dusk[..., 2].mean() + 20  # bluish
        soft = [cv2.GaussianBlur(image.mean(2), (0, 0), 3).ravel() for image in (plain, dusk)]
        assert np.corrcoef(*soft)[0, 1] > 0.9


def scenes(size):
    classes = list(make_shapes.TEXTURES)
    return [make_shapes.draw_scene(np.random.default_rng([0, 0, index]), classes, size, 5) for index in range(6)]


@pytest.mark.parametrize(
    ('size', 'digest', 'means'),
    [
        (120, 'de14234d9dfbf1c5', [89.307, 125.495, 113.148, 139.613, 111.646, 142.488]),
        (192, '97d306578334d742', [111.451, 110.653, 116.683, 140.859, 117.567, 175.528]),
    ],
)
def test_shapes_of_the_sizes_in_use_are_drawn_as_ever(size, digest, means):
    drawn = scenes(size)
    rows = [json.dumps(make_shapes.scene_annotations(scene, i + 1)) for i, scene in enumerate(drawn)]
    assert hashlib.sha256(''.join(rows).encode()).hexdigest()[:16] == digest
    assert [scene.image.mean() for scene in drawn] == pytest.approx(means, abs=0.01)


@pytest.mark.parametrize('size', [64, 96, 119])
def test_shapes_in_small_images_fit_and_are_of_several_sizes(size):
    ranges = [make_shapes.fitting_range(*sides, size) for sides in make_shapes.SIZE_RANGES]
    assert all(0 < low < high <= 0.8 * size for low, high in ranges) and ranges[0] == (20, 32)
    assert ranges[2] == pytest.approx((0.6 * size, 0.8 * size))
    boxes = [make_shapes.tight_box(mask) for scene in scenes(size) for mask in scene.masks]
    assert len(boxes) > 8
    for x, y, w, h in boxes:
        assert 0 <= x < x + w <= size and 0 <= y < y + h <= size and max(w, h) <= 0.8 * size * 2**0.5
    assert max(max(w, h) for _, _, w, h in boxes) > 0.5 * size


def test_shapes_command_draws_the_smallest_images(tmp_path):
    run = make(tmp_path, '--clean', 4, '--partial', 0, '--val', 0, '--size', 64)
    assert run.returncode == 0, run.stderr
    assert cv2.imread(str(tmp_path / 'clean/000003.png')).shape == (64, 64, 3) and annotations(tmp_path, 'clean')
