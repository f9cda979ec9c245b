"""AutoAugment and its steps with a level."""

import numpy as np
import pytest

from mmdet.core.mask import BitmapMasks
from mmdet.datasets.pipelines import (
    AutoAugment,
    BrightnessTransform,
    ColorTransform,
    ContrastTransform,
    EqualizeTransform,
    Rotate,
    Shear,
    Translate,
)
from mmdet.datasets.pipelines.auto_augment import enhance_level_to_value, level_to_value, random_negative


def scene():
    """Object 1 in rows 8 to 11 and columns 10 to 19, object 2 in the upper left corner."""
    masks = np.zeros((2, 20, 30), np.uint8)
    masks[0, 8:12, 10:20] = 1
    masks[1, :2, :2] = 1
    seg = masks[0] + 2 * masks[1]
    return dict(
        img=np.repeat(seg[..., None] * 100, 3, 2),
        img_shape=(20, 30, 3),
        img_fields=['img'],
        bbox_fields=['gt_bboxes'],
        mask_fields=['gt_masks'],
        seg_fields=['gt_semantic_seg'],
        gt_bboxes=np.array([[10, 8, 20, 12], [0, 0, 2, 2]], np.float32),
        gt_labels=np.array([1, 2]),
        gt_extra_labels=np.array([11, 12]),
        gt_masks=BitmapMasks(masks, 20, 30),
        gt_semantic_seg=seg,
    )


@pytest.mark.parametrize(
    ('step', 'box', 'labels'),
    [
        (Translate(10, 1.0, max_translate_offset=4, random_negative_prob=0), [14, 8, 24, 12], [1, 2]),
        (Translate(10, 1.0, max_translate_offset=4, random_negative_prob=1), [6, 8, 16, 12], [1]),
        (Translate(5, 1.0, direction='vertical', max_translate_offset=6, random_negative_prob=1), [10, 5, 20, 9], [1]),
        (Shear(10, prob=1.0, max_shear_magnitude=0.5, random_negative_prob=0), [14, 8, 26, 12], [1, 2]),
        (
            Rotate(10, prob=1.0, max_rotate_angle=180, random_negative_prob=0, center=(14.5, 9.5)),
            [9, 7, 19, 11],
            [1, 2],
        ),
        (Rotate(10, prob=1.0, max_rotate_angle=90, random_negative_prob=0, center=(10, 8)), [6, 8, 10, 18], [1]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_boxes_hand_computed_and_labels_in_line(step, box, labels):
    out = step(scene())
    assert np.allclose(out['gt_bboxes'][0], box, atol=1e-4)
    assert out['gt_labels'].tolist() == labels and out['gt_extra_labels'].tolist() == [n + 10 for n in labels]
    assert len(out['gt_masks']) == len(labels)
    mask_box = out['gt_masks'].get_bboxes()[0]
    assert np.abs(mask_box - box).max() <= 1


def test_new_room_has_the_fill_values_and_maps_keep_whole_labels():
    out = Rotate(10, img_fill_val=(1, 2, 3), prob=1.0, max_rotate_angle=30)(scene())
    assert set(np.unique(out['gt_semantic_seg'])) <= {0, 1, 2, 255}
    assert out['img'][0, -1].tolist() == [1, 2, 3] and out['gt_semantic_seg'][0, -1] == 255


@pytest.mark.parametrize(
    'step', [Shear(5, prob=0.0), Rotate(5, prob=0.0), Translate(5, prob=0.0), ColorTransform(9, 0.0)]
)
def test_chance_zero_does_nothing(step):
    out = step(scene())
    assert all(np.array_equal(out[k], scene()[k]) for k in ('img', 'gt_bboxes', 'gt_semantic_seg'))


def test_levels_hand_computed():
    assert level_to_value(4, 250) == 100 and enhance_level_to_value(5) == 1 and enhance_level_to_value(0) == 0.1
    assert random_negative(3, 1) == -3 and random_negative(3, 0) == 3


@pytest.mark.parametrize('step', [ColorTransform(5, 1.0), BrightnessTransform(5, 1.0), ContrastTransform(5, 1.0)])
def test_level_five_changes_no_colour(step):
    out = step(scene())
    assert out['img'].dtype == np.uint8 and np.abs(out['img'].astype(int) - scene()['img']).max() <= 1


def test_brightness_and_equalise_hand_computed():
    out = BrightnessTransform(0, 1.0)(scene())
    assert out['img'][9, 12].tolist() == [10, 10, 10]
    even = EqualizeTransform(1.0)(scene())['img']
    assert even.min() == 0 and even.max() == 255


@pytest.mark.parametrize(
    ('build', 'text'),
    [
        (lambda: Shear(11), r'Shear: level must be in \[0, 10\], got 11'),
        (lambda: Rotate(1, prob=1.1), r'Rotate: prob must be in \[0, 1\]'),
        (lambda: Translate(1, direction='up'), "direction: expected one of .*got 'up'"),
        (lambda: Shear(1, img_fill_val=(1, 2)), 'a number or three numbers'),
        (lambda: EqualizeTransform(2), r'prob must be in \[0, 1\], got 2'),
        (lambda: AutoAugment([]), 'at least one list of steps'),
        (lambda: AutoAugment([[]]), r'a policy must be a list of dict'),
        (lambda: AutoAugment([dict(type='Pad')]), r'a policy must be a list of dict'),
    ],
)
def test_wrong_arguments(build, text):
    with pytest.raises(ValueError, match=text):
        build()


def test_auto_augment_draws_whole_policies():
    np.random.seed(0)
    policies = [
        [dict(type='RandomFlip', flip_ratio=1.0)],
        [dict(type='RandomFlip', flip_ratio=1.0, direction='vertical'), dict(type='Pad', size=(40, 40))],
    ]
    step = AutoAugment(policies)
    seen = {(out['flip_direction'], out['img'].shape) for out in (step(scene()) for _ in range(30))}
    assert seen == {('horizontal', (20, 30, 3)), ('vertical', (40, 40, 3))}
