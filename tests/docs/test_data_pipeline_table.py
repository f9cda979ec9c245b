"""The table of pipeline steps names every registered step, and what it says they add and change is so."""

import copy
import random
import re

import cv2
import numpy as np
import pytest
from pages import ROOT

from mmdet.datasets.builder import PIPELINES
from mmdet.datasets.pipelines.compose import build_step

PAGE = ROOT / 'docs/tutorials/data_pipeline.md'
ROWS = {row[1]: row for row in re.finditer(r'^\| `(\w+)` \|(.*)\|(.*)\|(.*)\|$', PAGE.read_text(), re.MULTILINE)}
BOXES = {'gt_bboxes', 'gt_bboxes_ignore'}
WORDS = dict(
    image={'img'},
    boxes=BOXES,
    masks={'gt_masks'},
    maps={'gt_semantic_seg'},
    keypoints={'gt_keypoints'},
    objects={*BOXES, 'gt_labels', 'gt_masks', 'gt_keypoints'},
)
# steps that run on any image, with arguments under which they do something
STEPS = dict(
    LoadImageFromFile={},
    LoadAnnotations=dict(with_mask=True, with_seg=True, with_keypoints=True),
    Resize=dict(img_scale=(48, 32)),
    RandomFlip=dict(flip_ratio=1.0),
    Normalize=dict(mean=[1, 2, 3], std=[1, 1, 1]),
    Pad=dict(size_divisor=50),
    FilterAnnotations=dict(min_gt_bbox_wh=(45, 45)),
    RandomCrop=dict(crop_size=(40, 40)),
    Expand=dict(prob=1.0, seg_ignore_label=255),
    RandomShift=dict(shift_ratio=1.0),
    PhotoMetricDistortion={},
    YOLOXHSVRandomAug={},
    CutOut=dict(n_holes=2, cutout_shape=(8, 8)),
    SegRescale=dict(scale_factor=0.5),
    BrightnessTransform=dict(level=8, prob=1.0),
    ColorTransform=dict(level=8, prob=1.0),
    ContrastTransform=dict(level=8, prob=1.0),
    EqualizeTransform=dict(prob=1.0),
    Rotate=dict(level=8, prob=1.0),
    Shear=dict(level=8, prob=1.0),
    Translate=dict(level=8, prob=1.0),
    DefaultFormatBundle={},
)


@pytest.fixture
def loaded(tmp_path):
    """What is known of an image before and after it and its annotations are loaded."""
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'a.png'), image)
    cv2.imwrite(str(tmp_path / 'map.png'), image[..., 0])
    polygons = [[[10.0, 10, 50, 10, 50, 50, 10, 50]], [[30.0, 5, 80, 5, 80, 60, 30, 60]]]
    ann_info = dict(
        bboxes=np.array([[10, 10, 50, 50], [30, 5, 80, 60]], np.float32),
        labels=np.array([1, 0]),
        bboxes_ignore=np.array([[0, 0, 9, 9]], np.float32),
        masks=polygons,
        seg_map='map.png',
        keypoints=np.array([[[20, 20, 2], [40, 40, 2]], [[50, 10, 2], [70, 30, 2]]], np.float32),
        keypoint_flip_indices=np.array([1, 0]),
    )
    start = dict(img_info=dict(filename='a.png', width=96, height=64), ann_info=ann_info, proposal_file=None)
    start.update(img_prefix=str(tmp_path), seg_prefix=str(tmp_path), bbox_fields=[], mask_fields=[], seg_fields=[])
    image_only = build_step(dict(type='LoadImageFromFile'))(copy.deepcopy(start))
    whole = build_step(dict(type='LoadAnnotations', **STEPS['LoadAnnotations']))(copy.deepcopy(image_only))
    return dict(LoadImageFromFile=start, LoadAnnotations=image_only), whole


def equal(first, second):
    if hasattr(first, 'masks') and hasattr(second, 'masks'):
        first, second = first.masks, second.masks
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return first.shape == second.shape and np.array_equal(first, second)
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(equal(first[key], second[key]) for key in first)
    return type(first) is type(second) and first == second


def named(cell):
    """Keys that a cell of the table speaks of."""
    words = [keys for word, keys in WORDS.items() if re.search(rf'\b{word}\b', re.sub('`[^`]*`', '', cell))]
    return set().union(*words, re.findall(r'`(\w+)`', cell.partition('; not ')[0]))


def test_table_has_every_registered_step_and_no_other():
    registered = {name for name, cls in PIPELINES.module_dict.items() if cls.__module__.startswith('mmdet.')}
    assert set(ROWS) == registered


@pytest.mark.parametrize('name', STEPS)
def test_step_adds_and_changes_what_the_table_says(name, loaded):
    np.random.seed(0)
    random.seed(0)
    before = loaded[0].get(name, loaded[1])
    after = build_step(dict(type=name, **STEPS[name]))(copy.deepcopy(before))
    added = set(after) - set(before)
    changed = {key for key in before if not equal(before[key], after[key])}
    assert added == named(ROWS[name][3])
    assert changed and changed <= named(ROWS[name][4]) or name == 'LoadImageFromFile'
