"""Steps that make one image of several, and those that crop around a centre or by an affine matrix."""

import numpy as np
import pytest

from mmdet.core.mask import BitmapMasks
from mmdet.datasets.pipelines import CopyPaste, MixUp, Mosaic, RandomAffine, RandomCenterCropPad
from mmdet.datasets.pipelines.boxes import usable_after_warp
from mmdet.datasets.pipelines.transforms.center_crop import smallest_power_above
from mmdet.datasets.pipelines.transforms.mixing import paste_range


def scene(label, box=(4, 6, 24, 26), size=(32, 40)):
    """One object: pixels and labels hold its number."""
    img = np.zeros((*size, 3), np.uint8)
    x1, y1, x2, y2 = box
    img[y1:y2, x1:x2] = label
    return dict(
        img=img,
        img_shape=img.shape,
        img_fields=['img'],
        bbox_fields=['gt_bboxes'],
        gt_bboxes=np.array([box], np.float32),
        gt_labels=np.array([label]),
        gt_extra_labels=np.array([label + 100]),
        gt_weights=np.array([label / 8], np.float32),
    )


def assert_boxes_on_their_pixels(out):
    assert out['gt_extra_labels'].tolist() == (out['gt_labels'] + 100).tolist()
    assert out['gt_weights'].tolist() == (out['gt_labels'] / 8).tolist()
    assert len(out['gt_bboxes']) == len(out['gt_labels'])
    for (x1, y1, x2, y2), label in zip(out['gt_bboxes'].round().astype(int), out['gt_labels']):
        inner = out['img'][y1 + 2 : y2 - 2, x1 + 2 : x2 - 2]
        assert (inner == label).all() and out['img_shape'] == out['img'].shape


@pytest.mark.parametrize('skip_filter', [True, False])
def test_mosaic_boxes_lie_on_their_pixels(skip_filter):
    np.random.seed(0)
    step = Mosaic((32, 40), min_bbox_size=6, skip_filter=skip_filter)
    seen = set()
    for _ in range(20):
        out = step(scene(1) | dict(mix_results=[scene(2), scene(3, size=(16, 20), box=(4, 4, 16, 14)), scene(4)]))
        assert out['img'].shape == (64, 80, 3)
        assert_boxes_on_their_pixels(out)
        assert skip_filter or (out['gt_bboxes'][:, 2:] - out['gt_bboxes'][:, :2]).min() > 6
        seen |= set(out['gt_labels'])
    assert seen == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ('args', 'want'),
    [
        ((False, 30, 20, 80), ((10, 30), (0, 20))),
        ((False, 15, 20, 80), ((0, 15), (5, 20))),
        ((True, 30, 20, 80), ((30, 50), (0, 20))),
        ((True, 70, 20, 80), ((70, 80), (0, 10))),
    ],
)
def test_paste_range_hand_computed(args, want):
    assert paste_range(*args) == want


def test_mosaic_chance_and_wrong_arguments():
    assert Mosaic((32, 40), prob=0.0)(scene(1))['img'].shape == (32, 40, 3)
    with pytest.raises(KeyError, match='MultiImageMixDataset'):
        Mosaic((32, 40))(scene(1))
    with pytest.raises(ValueError, match='expected 3 other images in mix_results, got 1'):
        Mosaic((32, 40))(scene(1) | dict(mix_results=[scene(2)]))
    with pytest.raises(TypeError, match='must be a tuple'):
        Mosaic([32, 40])
    with pytest.raises(NotImplementedError, match='there are masks'):
        Mosaic((32, 40))(scene(1) | dict(mix_results=[scene(2)] * 3, gt_masks=None))


def test_mosaic_needs_the_same_kinds_of_labels_everywhere():
    other = scene(2)
    del other['gt_extra_labels']
    with pytest.raises(KeyError, match='gt_extra_labels: 1 of the 4 images'):
        Mosaic((32, 40))(scene(1) | dict(mix_results=[other, scene(3), scene(4)]))


@pytest.mark.parametrize('without', range(2))
def test_objects_of_an_image_without_weights_weigh_one(without):
    scenes = [scene(16), scene(24)]
    del scenes[without]['gt_weights']
    out = MixUp((32, 40), (1, 1), flip_ratio=0)(scenes[0] | dict(mix_results=[scenes[1]]))
    assert out['gt_weights'].tolist() == [1 if without == 0 else 2, 1 if without == 1 else 3]
    out = Mosaic((32, 40), center_ratio_range=(1, 1))(scenes[0] | dict(mix_results=[scenes[1], scene(32), scene(40)]))
    by_label = dict(zip(out['gt_labels'].tolist(), out['gt_weights'].tolist()))
    assert by_label == {label: 1.0 if label == (16, 24)[without] else label / 8 for label in by_label}
    assert len(by_label) > 1


@pytest.mark.parametrize('flip_ratio', [0, 1])
def test_mixup_is_the_mean_and_has_both_boxes(flip_ratio):
    step = MixUp((32, 40), (1, 1), flip_ratio=flip_ratio, pad_val=0)
    out = step(scene(100) | dict(mix_results=[scene(60)]))
    x1, x2 = (16, 36) if flip_ratio else (4, 24)
    assert out['gt_bboxes'].tolist() == [[4, 6, 24, 26], [x1, 6, x2, 26]] and out['gt_labels'].tolist() == [100, 60]
    assert out['img'][10, 20].tolist() == [80] * 3 and out['img'][10, 30, 0] == 30 * flip_ratio


def test_mixup_crops_larger_and_pads_smaller_images():
    np.random.seed(0)
    for ratio in (2.0, 0.5):
        data = scene(0) | dict(mix_results=[scene(200)])
        out = MixUp((32, 40), (ratio, ratio), flip_ratio=0, pad_val=0)(data)
        second = out['gt_bboxes'][out['gt_labels'] == 200].round().astype(int)
        for x1, y1, x2, y2 in second:
            assert (out['img'][y1 + 2 : y2 - 2, x1 + 2 : x2 - 2] == 100).all()
        assert out['img'].shape == (32, 40, 3) and len(second)


def test_mixup_without_other_objects_does_nothing_and_looks_for_others():
    empty = scene(2) | dict(gt_bboxes=np.zeros((0, 4), np.float32))
    assert np.array_equal(MixUp((32, 40))(scene(1) | dict(mix_results=[empty]))['img'], scene(1)['img'])

    class Images:
        def __len__(self):
            return 4

        def get_ann_info(self, index):
            return dict(bboxes=np.zeros((int(index == 2), 4)))

    np.random.seed(0)
    assert {MixUp(max_iters=100).get_indexes(Images()) for _ in range(10)} == {2}


def test_usable_after_warp_hand_computed():
    before = np.array([[0, 0, 10, 10]] * 4, np.float32)
    after = np.array([[0, 0, 10, 10], [0, 0, 2, 10], [0, 0, 3, 4], [0, 0, 10, 2.5]], np.float32)
    kept = usable_after_warp(before, after, min_size=2, min_area_ratio=0.12, max_aspect_ratio=4)
    assert kept.tolist() == [True, False, False, False]
    assert usable_after_warp(before, after, 2, 0.1, 5).tolist() == [True, False, True, True]


def with_mask(data):
    masks = (data['img'][..., 0] > 0).astype(np.uint8)[None]
    return data | dict(gt_masks=BitmapMasks(masks, *masks.shape[1:]), mask_fields=['gt_masks'])


def test_copy_paste_cuts_what_is_covered():
    data = with_mask(scene(1)) | dict(mix_results=[with_mask(scene(2, (14, 0, 30, 30)))])
    out = CopyPaste(selected=False, mask_occluded_thr=100)(data)
    assert out['gt_bboxes'].tolist() == [[4, 6, 14, 26], [14, 0, 30, 30]]
    assert out['gt_masks'].areas.tolist() == [200, 480] and out['gt_extra_labels'].tolist() == [101, 102]
    assert_boxes_on_their_pixels(out)


@pytest.mark.parametrize(('thresholds', 'kept'), [((9, 300), [2]), ((10, 300), [1, 2]), ((9, 199), [1, 2])])
def test_copy_paste_leaves_out_hidden_objects(thresholds, kept):
    data = with_mask(scene(1)) | dict(mix_results=[with_mask(scene(2, (14, 0, 30, 30)))])
    step = CopyPaste(bbox_occluded_thr=thresholds[0], mask_occluded_thr=thresholds[1], selected=False)
    assert step(data)['gt_labels'].tolist() == kept


def test_copy_paste_without_masks_takes_boxes():
    out = CopyPaste(selected=False, mask_occluded_thr=100)(scene(1) | dict(mix_results=[scene(2, (14, 0, 30, 30))]))
    assert out['gt_bboxes'].tolist() == [[4, 6, 14, 26], [14, 0, 30, 30]] and 'gt_masks' not in out


def test_copy_paste_of_nothing_and_onto_nothing():
    none = with_mask(scene(0, (0, 0, 0, 0)))
    none |= {key: none[key][:0] for key in ('gt_bboxes', 'gt_labels', 'gt_extra_labels', 'gt_masks')}
    out = CopyPaste()(with_mask(scene(1)) | dict(mix_results=[none]))
    assert out['gt_labels'].tolist() == [1]
    out = CopyPaste(selected=False)(none | dict(mix_results=[with_mask(scene(2))]))
    assert out['gt_labels'].tolist() == [2] and len(out['gt_masks']) == 1
    with pytest.raises(ValueError, match='both images must have one size'):
        CopyPaste()(scene(1) | dict(mix_results=[scene(2, size=(40, 40))]))


@pytest.mark.parametrize('border', [(0, 0), (-4, -6), (3, 5)])
def test_affine_boxes_hold_their_pixels(border):
    np.random.seed(0)
    for _ in range(20):
        out = RandomAffine(border=border, border_val=(0, 0, 0), max_rotate_degree=20)(scene(200))
        assert out['img_shape'] == (32 + 2 * border[0], 40 + 2 * border[1], 3)
        if len(out['gt_bboxes']):
            rows, columns = np.nonzero(out['img'][..., 0] > 128)
            x1, y1, x2, y2 = out['gt_bboxes'][0]
            assert x1 - 1 <= columns.min() and columns.max() <= x2 + 1
            assert y1 - 1 <= rows.min() and rows.max() <= y2 + 1


def test_affine_scale_alone_hand_computed():
    out = RandomAffine(0, 0, (0.5, 0.5), 0)(scene(1))
    assert out['gt_bboxes'].tolist() == [[2, 3, 12, 13]]
    with pytest.raises(ValueError, match='smallest, largest'):
        RandomAffine(scaling_ratio_range=(2, 1))
    with pytest.raises(NotImplementedError, match='there are masks'):
        RandomAffine()(with_mask(scene(1)))


COLOURS = dict(mean=[1, 2, 3], std=[1, 1, 1], to_rgb=True)


def test_center_crop_boxes_lie_on_their_pixels():
    np.random.seed(0)
    step = RandomCenterCropPad((24, 36), (0.5, 1.0, 1.5), border=8, **COLOURS)
    shapes = set()
    for _ in range(30):
        out = step(scene(200))
        shapes.add(out['img_shape'])
        assert len(out['gt_bboxes']) == 1 and out['pad_shape'] == out['img_shape']
        assert_boxes_on_their_pixels(out)
    assert shapes == {(12, 18, 3), (24, 36, 3), (36, 54, 3)}


def test_center_crop_test_mode_pads_around_the_middle():
    step = RandomCenterCropPad(None, None, None, test_mode=True, test_pad_mode=('logical_or', 31), **COLOURS)
    out = step(scene(200))
    top, bottom, left, right = out['border'].astype(int)
    assert out['pad_shape'] == (63, 63, 3) and out['img_shape'] == (32, 40, 3)
    assert np.array_equal(out['img'][top:bottom, left:right], scene(200)['img'])
    assert out['img'][0, 0].tolist() == [3, 2, 1]
    step.test_pad_mode = ('size_divisor', 20)
    assert step(scene(200))['pad_shape'] == (40, 40, 3)


@pytest.mark.parametrize(('value', 'power'), [(0.3, 1), (1, 2), (1.5, 2), (2, 4), (2.1, 4)])
def test_smallest_power_above_hand_computed(value, power):
    assert smallest_power_above(value) == power


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        (dict(crop_size=None), r'crop_size must be \(h, w\)'),
        (dict(crop_size=(8, 8), mean=None), 'mean, std and to_rgb are needed'),
        (dict(test_mode=True), 'ratios must be None in test mode'),
        (dict(test_mode=True, ratios=None, border=None, test_pad_mode=('or', 1)), 'test_pad_mode must be'),
    ],
)
def test_center_crop_wrong_arguments(options, text):
    with pytest.raises(ValueError, match=text):
        RandomCenterCropPad(**(COLOURS | options))


def with_ignored(label, ignored=(4, 6, 24, 26)):
    """A scene whose object is at the same place as a box to ignore, so that both must move alike."""
    part = scene(label)
    return part | dict(gt_bboxes_ignore=np.array([ignored], np.float32), bbox_fields=['gt_bboxes', 'gt_bboxes_ignore'])


def test_mosaic_moves_the_boxes_to_ignore_of_all_images():
    np.random.seed(0)
    for _ in range(10):
        out = Mosaic((32, 40))(with_ignored(1) | dict(mix_results=[scene(2), with_ignored(3), with_ignored(4)]))
        ours = out['gt_bboxes'][out['gt_labels'] != 2]
        assert len(ours) and np.array_equal(out['gt_bboxes_ignore'], ours)
    out = Mosaic((32, 40))(scene(1) | dict(mix_results=[with_ignored(2), with_ignored(3), with_ignored(4)]))
    assert out['bbox_fields'] == ['gt_bboxes', 'gt_bboxes_ignore'] and len(out['gt_bboxes_ignore'])


@pytest.mark.parametrize('first', [scene, with_ignored])
def test_mixup_moves_the_boxes_to_ignore_of_the_other_image(first):
    np.random.seed(0)
    for _ in range(10):
        out = MixUp((32, 40))(first(1) | dict(mix_results=[with_ignored(2)]))
        expected = out['gt_bboxes'] if first is with_ignored else out['gt_bboxes'][out['gt_labels'] == 2]
        assert np.array_equal(out['gt_bboxes_ignore'], expected)
