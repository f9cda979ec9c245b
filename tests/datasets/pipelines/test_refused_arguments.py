"""Arguments of pipeline steps that contradict each other or mean nothing are refused when the step is built."""

import numpy as np
import pytest

from mmdet.datasets.registry import PIPELINES
from mmdet.utils.registry import build_from_cfg

STEPS = [dict(type='Normalize', mean=[0, 0, 0], std=[1, 1, 1])]
AUG = dict(type='MultiScaleFlipAug', transforms=STEPS, img_scale=(8, 8), flip=True)
REFUSED = [
    (dict(type='Pad', size_divisor=32, pad_to_square=True), 'pad_to_square does not go with size_divisor'),
    (dict(AUG, flip_direction=1), 'flip_direction: expected a text'),
    (dict(AUG, flip_direction=['horizontal', 'vertikal']), "did you mean 'vertical'"),
    (dict(AUG, img_scale=None, scale_factor='2'), 'scale_factor: expected a number'),
    (dict(type='CutOut', n_holes=1), 'either cutout_shape or cutout_ratio'),
    (dict(type='CutOut', n_holes=1, cutout_shape=(2, 2), cutout_ratio=(0.1, 0.1)), 'got both or neither'),
    (dict(type='Rotate', level=1, scale=(1.2,)), 'scale: expected a number'),
    (dict(type='Rotate', level=1, scale=0), 'scale must be a number above 0'),
    (dict(type='Rotate', level=1, center=(1, 2, 3)), r'center must be None or \(x, y\)'),
    (dict(type='Mosaic', center_ratio_range=1.5), 'center_ratio_range: expected a list'),
    (dict(type='MixUp', img_scale=(8, 8, 3)), r'img_scale must be a tuple \(h, w\)'),
    (dict(type='Resize', img_scale=(8, 8, 3)), r'expected a tuple \(long, short\)'),
    (dict(type='Resize', img_scale=[(8, 8), (9, 9), (10, 10)]), "needs two sizes, got 3; 'value' draws one"),
    (dict(type='Resize', img_scale=(8, 8), backend='pil'), "backend must be one of .*'pillow'"),
    (dict(type='FilterAnnotations', min_gt_bbox_wh=1), 'min_gt_bbox_wh: expected a list'),
    (dict(type='Normalize', mean=[1, 2], std=[1]), 'one number a channel'),
    (dict(type='CopyPaste', max_num_pasted=0), 'max_num_pasted must be at least 1'),
    *(
        (dict(type=step, level=1, img_fill_val=fill), 'img_fill_val must be')
        for step in ('Rotate', 'Shear', 'Translate')
        for fill in ((128,), (1, 2), -1, (1, 2, 256))
    ),
]


@pytest.mark.parametrize('cfg, text', REFUSED, ids=lambda value: value['type'] if isinstance(value, dict) else '')
def test_step_is_refused(cfg, text):
    with pytest.raises((ValueError, TypeError), match=text):
        build_from_cfg(cfg, PIPELINES)


@pytest.mark.parametrize('name', ['PhotoMetricDistortion', 'MinIoURandomCrop', 'Expand'])
def test_steps_for_one_image_refuse_several(name):
    img = np.zeros((20, 20, 3), np.float32)
    step = build_from_cfg(dict(type=name), PIPELINES)
    with pytest.raises(ValueError, match=rf"{name}: expected one image, img_fields=\['img'\], got \['img', 'depth'\]"):
        step(dict(img=img, depth=img, img_fields=['img', 'depth'], gt_bboxes=np.ones((1, 4)), bbox_fields=[]))


def test_number_for_padding_is_deprecated():
    with pytest.warns(DeprecationWarning, match=r'pad_val=dict\(img=7, masks=7, seg=255\)'):
        step = build_from_cfg(dict(type='Pad', size_divisor=32, pad_val=7), PIPELINES)
    assert step.pad_val == dict(img=7, masks=7, seg=255)


def test_least_overlap_of_a_crop_can_be_read():
    step = build_from_cfg(dict(type='MinIoURandomCrop', min_ious=(0.5,)), PIPELINES)
    np.random.seed(0)
    seen = set()
    for _ in range(60):
        results = dict(img=np.zeros((40, 60, 3), np.float32), img_fields=['img'], bbox_fields=['gt_bboxes'])
        results.update(gt_bboxes=np.array([[5.0, 5, 35, 35]]), gt_labels=np.zeros(1, np.int64))
        out = step(results)
        seen.add(float(step.mode))
        assert (step.mode == 1) == (out['img'].shape == (40, 60, 3))
    assert seen == {0.0, 0.5, 1.0}
