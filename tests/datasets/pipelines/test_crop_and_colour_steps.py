"""Crops, expansion, shifts, holes and colours."""

import numpy as np
import pytest

from mmdet.core.mask import BitmapMasks
from mmdet.datasets.pipelines import (
    CutOut,
    Expand,
    MinIoURandomCrop,
    PhotoMetricDistortion,
    RandomCrop,
    RandomShift,
    YOLOXHSVRandomAug,
)
from mmdet.datasets.pipelines.boxes import pairwise_iou
from mmdet.datasets.pipelines.transforms.colour import Distortion, distort, move_hsv

BOXES = np.array([[0, 0, 12, 12], [20, 4, 38, 22], [30, 24, 40, 30], [2, 16, 10, 28]], np.float32)


def scene(boxes=BOXES, height=32, width=40):
    """Objects whose pixels, masks and labels all hold their number + 1."""
    img = np.zeros((height, width, 3), np.uint8)
    masks = np.zeros((len(boxes), height, width), np.uint8)
    for number, (x1, y1, x2, y2) in enumerate(boxes.astype(int)):
        img[y1:y2, x1:x2] = number + 1
        masks[number, y1:y2, x1:x2] = 1
    return dict(
        img=img,
        img_shape=img.shape,
        img_fields=['img'],
        bbox_fields=['gt_bboxes', 'gt_bboxes_ignore'],
        mask_fields=['gt_masks'],
        seg_fields=['gt_semantic_seg'],
        gt_bboxes=boxes.copy(),
        gt_bboxes_ignore=np.zeros((0, 4), np.float32),
        gt_labels=np.arange(len(boxes)) + 1,
        gt_extra_labels=np.arange(len(boxes)) + 101,
        gt_weights=(np.arange(len(boxes)) + 1) / np.float32(2),
        gt_masks=BitmapMasks(masks, height, width),
        gt_semantic_seg=img[..., 0].copy(),
    )


def assert_in_line(out):
    """Every kept box has its own labels, its own mask, and lies on its own pixels."""
    labels = out['gt_labels']
    assert out['gt_extra_labels'].tolist() == (labels + 100).tolist()
    assert out['gt_weights'].tolist() == (labels / 2).tolist()
    assert len(out['gt_masks']) == len(out['gt_bboxes']) == len(labels)
    assert out['gt_masks'].masks.shape[1:] == out['img'].shape[:2] == out['gt_semantic_seg'].shape
    assert np.array_equal(out['img'][..., 0], out['gt_semantic_seg'])
    assert np.array_equal(out['gt_masks'].get_bboxes(), out['gt_bboxes'])
    for label, mask in zip(labels, out['gt_masks']):
        assert (out['img'][..., 0][mask == 1] == label).all()


@pytest.mark.parametrize(
    'step',
    [
        RandomCrop((14, 17), allow_negative_crop=True),
        RandomCrop((14, 17), allow_negative_crop=True, recompute_bbox=True),
        RandomCrop((0.4, 0.6), 'relative', allow_negative_crop=True),
        RandomCrop((0.3, 0.3), 'relative_range', allow_negative_crop=True),
        RandomCrop((8, 60), 'absolute_range', allow_negative_crop=True),
        MinIoURandomCrop(),
        MinIoURandomCrop((0.05,), 0.5),
        RandomShift(1.0, 20),
        Expand(prob=1.0, seg_ignore_label=0),
    ],
    ids=repr,
)
def test_boxes_labels_masks_and_pixels_stay_in_line(step):
    np.random.seed(0)
    for _ in range(30):
        out = step(scene())
        assert_in_line(out)


def test_crop_sizes_of_each_type():
    np.random.seed(0)
    assert RandomCrop((14, 90))._get_crop_size((32, 40)) == (14, 40)
    assert RandomCrop((0.5, 0.26), 'relative')._get_crop_size((31, 40)) == (16, 10)
    relative = np.array([RandomCrop((0.5, 1.0), 'relative_range')._get_crop_size((32, 40)) for _ in range(200)])
    assert relative[:, 0].min() in (16, 17) and relative[:, 0].max() in (31, 32) and set(relative[:, 1]) == {40}
    absolute = np.array([RandomCrop((10, 35), 'absolute_range')._get_crop_size((32, 40)) for _ in range(300)])
    assert absolute.min(0).tolist() == [10, 10] and absolute.max(0).tolist() == [32, 35]


def test_crop_without_objects_is_refused_unless_allowed():
    nothing = np.zeros((0, 4), np.float32)
    assert RandomCrop((8, 8))(scene(nothing)) is None
    out = RandomCrop((8, 8), allow_negative_crop=True)(scene(nothing))
    assert out['img_shape'] == (8, 8, 3) and out['gt_bboxes'].shape == (0, 4) and len(out['gt_masks']) == 0


def test_crop_keeps_boxes_beyond_the_part_where_asked():
    out = RandomCrop((32, 20), bbox_clip_border=False)(scene(np.array([[0, 0, 40, 32]], np.float32)))
    assert (out['gt_bboxes'][0, 2:] - out['gt_bboxes'][0, :2]).tolist() == [40, 32]
    outside = scene(np.array([[0, 0, 40, 2], [0, 30, 40, 32]], np.float32))
    assert len(RandomCrop((20, 40), bbox_clip_border=False, allow_negative_crop=True)(outside)['gt_bboxes']) <= 1


def test_recomputed_boxes_leave_out_empty_masks():
    data = scene(np.array([[0, 0, 40, 32], [0, 0, 40, 32]], np.float32))
    data['gt_masks'].masks[0] = 0
    out = RandomCrop((8, 8), recompute_bbox=True)(data)
    assert out['gt_labels'].tolist() == [2] and out['gt_bboxes'].tolist() == [[0, 0, 8, 8]]


@pytest.mark.parametrize(
    ('size', 'kind', 'text'),
    [
        ((3, 3), 'absolut', "did you mean 'absolute'"),
        ((0, 3), 'absolute', 'whole numbers of pixels above 0'),
        ((0.5, 0.5), 'absolute', 'whole numbers'),
        ((1.5, 0.5), 'relative', r'fractions in \(0, 1\]'),
        ((9, 3), 'absolute_range', 'smallest, largest'),
    ],
)
def test_crop_wrong_sizes(size, kind, text):
    with pytest.raises(ValueError, match=text):
        RandomCrop(size, kind)


@pytest.mark.parametrize('min_iou', [0.1, 0.3])
def test_min_iou_crop_overlaps_every_object_enough(min_iou):
    np.random.seed(1)
    step = MinIoURandomCrop((min_iou,))
    step.sample_mode = (min_iou,)
    box = np.array([[10, 8, 30, 26]], np.float32)
    for _ in range(20):
        window = step.sample((32, 40), box)
        assert pairwise_iou(np.array([window], np.float32), box)[0, 0] >= min_iou
        assert 0 <= window[0] < window[2] <= 40 and 0 <= window[1] < window[3] <= 32


def test_min_iou_crop_keeps_objects_whose_centre_is_inside():
    np.random.seed(0)
    step = MinIoURandomCrop()
    step.sample = lambda shape_hw, boxes: (0, 0, 29, 20)
    out = step(scene())
    assert out['gt_labels'].tolist() == [1] and out['img_shape'] == (20, 29, 3)
    step.sample = lambda shape_hw, boxes: (0, 0, 30, 20)
    assert step(scene())['gt_labels'].tolist() == [1, 2]


def test_min_iou_crop_without_objects_still_crops():
    np.random.seed(0)
    shapes = {MinIoURandomCrop()(scene(np.zeros((0, 4), np.float32)))['img_shape'] for _ in range(20)}
    assert len(shapes) > 5


def test_expand_keeps_the_image_and_fills_with_the_mean():
    np.random.seed(2)
    out = Expand(mean=(1, 2, 3), ratio_range=(2, 2), seg_ignore_label=255, prob=1.0)(scene())
    assert out['img'].shape == (64, 80, 3) and out['gt_semantic_seg'].shape == (64, 80)
    dx, dy = (out['gt_bboxes'] - BOXES)[0, :2].astype(int)
    assert np.array_equal(out['img'][dy : dy + 32, dx : dx + 40], scene()['img'])
    corner = out['img'][0, 0] if dx or dy else out['img'][-1, -1]
    assert corner.tolist() == [3, 2, 1] and (out['gt_semantic_seg'] == 255).sum() == 64 * 80 - 32 * 40


def test_expand_draws_every_place_that_fits():
    np.random.seed(0)
    places = np.array([Expand(ratio_range=(2, 2), prob=1.0).sample((10, 20))[1:] for _ in range(400)])
    assert places.min(0).tolist() == [0, 0] and places.max(0).tolist() == [9, 19]


def test_expand_chance_and_missing_label():
    np.random.seed(0)
    shapes = [Expand(prob=0.3, seg_ignore_label=0, ratio_range=(2, 3))(scene())['img'].shape for _ in range(200)]
    assert 40 < sum(shape != (32, 40, 3) for shape in shapes) < 80
    with pytest.raises(ValueError, match='seg_ignore_label is needed'):
        Expand(prob=1.0)(scene())


def test_shift_without_remaining_objects_does_nothing():
    np.random.seed(0)
    data = scene(np.array([[0, 0, 2, 2]], np.float32))
    step = RandomShift(1.0, 32, filter_thr_px=2)
    assert np.array_equal(step(data)['img'], scene(np.array([[0, 0, 2, 2]], np.float32))['img'])
    with pytest.raises(ValueError, match=r'shift_ratio must be in \[0, 1\]'):
        RandomShift(1.2)


def test_cutout_paints_holes_of_the_given_size():
    np.random.seed(0)
    data = scene(np.zeros((0, 4), np.float32))
    before = data['img']
    out = CutOut(1, cutout_shape=(5, 3), fill_in=(7, 8, 9))(data)
    painted = (out['img'] == [7, 8, 9]).all(-1)
    assert painted.any(0).sum() <= 5 and painted.any(1).sum() <= 3 and not before.any()
    holes = [len(CutOut((2, 4), cutout_ratio=[(0.5, 0.5), (0.1, 0.2)]).sample((20, 20))) for _ in range(50)]
    assert set(holes) == {2, 3, 4}
    with pytest.raises(ValueError, match='either cutout_shape or cutout_ratio'):
        CutOut(1)


UNCHANGED = Distortion(None, None, None, None, None, True)


@pytest.mark.parametrize(
    ('change', 'pixel'),
    [
        ({}, [10, 20, 40]),
        (dict(brightness=5.0), [15, 25, 45]),
        (dict(contrast=2.0), [20, 40, 80]),
        (dict(brightness=5.0, contrast=2.0), [30, 50, 90]),
        (dict(contrast=2.0, contrast_first=False), [20, 40, 80]),
        (dict(saturation=0.0), [40, 40, 40]),
        (dict(saturation=1.5), [0, 40 / 3, 40]),  # 0.75 * 1.5 is cut to 1; green stays a third of the way to red
        (dict(hue=120.0), [20, 40, 10]),
        (dict(hue=-240.0), [20, 40, 10]),
        (dict(channels=np.array([2, 0, 1])), [40, 10, 20]),
    ],
)
def test_distort_hand_computed(change, pixel):
    img = np.array([[[10, 20, 40]]], np.float32)
    assert np.allclose(distort(img, UNCHANGED._replace(**change)), [[pixel]], atol=1e-3)
    assert img.tolist() == [[[10, 20, 40]]]


def test_photometric_draws_stay_in_their_ranges():
    np.random.seed(0)
    step = PhotoMetricDistortion(10, (0.8, 1.2), (0.9, 1.1), 5)
    drawn = [step.sample() for _ in range(400)]
    for name, low, high in [('brightness', -10, 10), ('contrast', 0.8, 1.2), ('saturation', 0.9, 1.1), ('hue', -5, 5)]:
        values = [getattr(d, name) for d in drawn if getattr(d, name) is not None]
        assert 150 < len(values) < 250
        room = (high - low) / 20
        assert low <= min(values) < low + room and high - room < max(values) <= high


def test_photometric_takes_uint8_images():
    np.random.seed(0)
    out = PhotoMetricDistortion()(scene())
    assert out['img'].dtype == np.float32 and out['img'].shape == (32, 40, 3)


def test_hsv_moves_wrap_the_hue_and_cut_the_value():
    red = np.array([[[0, 0, 250]]], np.uint8)
    assert move_hsv(red, (60, 0, 0)).tolist() == [[[0, 250, 0]]]
    assert move_hsv(red, (-120, 0, 0)).tolist() == [[[0, 250, 0]]]
    assert move_hsv(red, (0, 0, 20)).tolist() == [[[0, 0, 255]]]
    np.random.seed(0)
    moves = np.array([YOLOXHSVRandomAug(5, 30, 20).sample() for _ in range(300)])
    assert (abs(moves) <= [5, 30, 20]).all() and (abs(moves).max(0) > [3, 26, 17]).all()
