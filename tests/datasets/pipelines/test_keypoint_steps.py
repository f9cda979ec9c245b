"""Keypoints in the pipeline: every step that moves the image moves them along."""

import numpy as np
import pytest

from mmdet.core.mask import BitmapMasks
from mmdet.datasets.pipelines import Compose
from mmdet.datasets.pipelines.keypoints import flip_keypoints, hide_outside

PAIRS = [1, 0, 2]
PLACES = [(12, 10), (60, 20), (30, 50)]  # px of the blobs; the first and second are a pair


def scene(places=PLACES, level=250):
    """A grey image with a bright blob at every keypoint of its single object."""
    img = np.full((64, 80, 3), 40, np.uint8)
    for x, y in places:
        img[y - 3 : y + 4, x - 3 : x + 4] = level
    keypoints = np.array([[(x + 0.5, y + 0.5, 2) for x, y in places]], np.float32)
    return dict(
        img=img, img_shape=img.shape, img_fields=['img'], bbox_fields=['gt_bboxes'],
        gt_bboxes=np.array([[6, 4, 70, 58]], np.float32), gt_labels=np.array([0]),
        gt_keypoints=keypoints, keypoint_flip_indices=np.array(PAIRS),
    )  # fmt: skip


def shown(out):
    """Visible keypoints, whose pixels are checked to be bright."""
    visible = out['gt_keypoints'][out['gt_keypoints'][..., 2] > 0]
    height, width = out['img'].shape[:2]
    columns, rows = np.clip(visible[:, :2].astype(int), 0, (width - 1, height - 1)).T
    assert (out['img'][rows, columns].mean(-1) > 100).all(), out['gt_keypoints']
    return len(visible)


STEPS = [
    dict(type='Resize', img_scale=(160, 100), keep_ratio=False),
    dict(type='RandomFlip', flip_ratio=1.0),
    dict(type='RandomFlip', flip_ratio=1.0, direction='vertical'),
    dict(type='RandomFlip', flip_ratio=1.0, direction='diagonal'),
    dict(type='Pad', size_divisor=32),
    dict(type='RandomCrop', crop_size=(40, 50)),
    dict(type='MinIoURandomCrop'),
    dict(
        type='RandomCenterCropPad', crop_size=(48, 64), ratios=(1.0,), border=8, mean=[40] * 3, std=[1] * 3, to_rgb=True
    ),
    dict(type='Expand', prob=1.0, mean=[40] * 3),
    dict(type='RandomShift', shift_ratio=1.0),
    dict(type='RandomAffine'),
    dict(type='Rotate', level=8, prob=1.0),
    dict(type='Shear', level=8, prob=1.0),
    dict(type='Shear', level=8, prob=1.0, direction='vertical'),
    dict(type='Translate', level=2, prob=1.0),
]  # fmt: skip


@pytest.mark.parametrize('step', STEPS, ids=lambda s: s['type'] + s.get('direction', ''))
def test_keypoints_stay_on_their_pixels(step):
    np.random.seed(1)
    pipeline = Compose([step])
    seen = [shown(pipeline(scene())) for _ in range(8)]
    assert sum(seen) >= 8


@pytest.mark.parametrize('direction, first', [('horizontal', 20), ('vertical', 60), ('diagonal', 68)])
def test_flip_exchanges_left_and_right_but_not_when_turned_round(direction, first):
    flipped = flip_keypoints(scene()['gt_keypoints'], (64, 80), direction, PAIRS)
    assert flipped[0, 0, 0] == pytest.approx(first, abs=1)
    assert np.array_equal(flip_keypoints(flipped, (64, 80), direction, PAIRS), scene()['gt_keypoints'])


def test_points_outside_are_not_labelled_any_more():
    points = np.array([[[-0.1, 3, 2], [0, 3, 2], [10, 8, 1], [5, 8.1, 2]]], np.float32)
    assert hide_outside(points, (0, 0, 10, 8))[0, :, 2].tolist() == [0, 2, 1, 0]


def test_crop_drops_the_keypoints_of_objects_that_are_left_out():
    results = scene()
    results['gt_bboxes'] = np.array([[6, 4, 10, 8], [40, 30, 60, 50]], np.float32)
    results['gt_labels'] = np.array([0, 1])
    second = np.array([[[45, 35, 2], [50, 40, 2], [55, 45, 2]]], np.float32)
    results['gt_keypoints'] = np.concatenate([results['gt_keypoints'], second])
    np.random.seed(0)
    for _ in range(10):
        out = Compose([dict(type='RandomCrop', crop_size=(30, 40))])({**results, 'bbox_fields': ['gt_bboxes']})
        if out is not None:
            assert len(out['gt_keypoints']) == len(out['gt_bboxes']) == len(out['gt_labels'])


@pytest.mark.parametrize('step', [dict(type='Mosaic', img_scale=(64, 80)), dict(type='MixUp', img_scale=(64, 80))])
def test_mixed_images_bring_their_keypoints(step):
    np.random.seed(2)
    pipeline = Compose([step])
    others = 3 if step['type'] == 'Mosaic' else 1
    for _ in range(8):
        out = pipeline(scene() | dict(mix_results=[scene([(20, 30), (40, 30), (70, 9)]) for _ in range(others)]))
        assert len(out['gt_keypoints']) == len(out['gt_bboxes']) > 0
        assert shown(out) > 0


def test_copy_paste_marks_covered_points_as_hidden():
    below, above = scene(), scene([(40, 30), (44, 30), (48, 30)])
    whole = np.zeros((1, 64, 80), np.uint8)
    whole[0, 4:58, 6:70] = 1
    cover = np.zeros((1, 64, 80), np.uint8)
    cover[0, 15:25, 50:70] = 1  # over the second point
    below['gt_masks'], above['gt_masks'] = BitmapMasks(whole, 64, 80), BitmapMasks(cover, 64, 80)
    step = dict(type='CopyPaste', selected=False)
    out = Compose([step])(below | dict(mix_results=[above]))
    assert out['gt_keypoints'][..., 2].tolist() == [[2, 1, 2], [2, 2, 2]]


def test_image_without_objects_keeps_an_empty_array():
    results = scene() | dict(
        gt_bboxes=np.zeros((0, 4), np.float32), gt_labels=np.zeros(0, int), gt_keypoints=np.zeros((0, 3, 3), np.float32)
    )
    steps = [
        *[dict(s, allow_negative_crop=True) if s['type'] == 'RandomCrop' else s for s in STEPS],
        dict(type='DefaultFormatBundle'),
    ]
    np.random.seed(0)
    for step in steps:
        out = Compose([step])({**results, 'bbox_fields': ['gt_bboxes']})
        points = out['gt_keypoints'] if step['type'] != 'DefaultFormatBundle' else out['gt_keypoints'].data
        assert tuple(points.shape) == (0, 3, 3)
