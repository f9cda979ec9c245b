"""Resize, flip, pad, normalise, test-time augmentation."""

import mmcv
import numpy as np
import pytest

from mmdet.core.mask import BitmapMasks
from mmdet.datasets.pipelines import MultiScaleFlipAug, Normalize, Pad, RandomFlip, Resize, SegRescale
from mmdet.datasets.pipelines.boxes import flip_boxes, pairwise_iou
from mmdet.datasets.pipelines.formatting import image_to_tensor
from mmdet.datasets.pipelines.transforms.flip import flip_image
from mmdet.datasets.pipelines.transforms.normalise import normalise_image
from mmdet.datasets.pipelines.transforms.pad import pad_image


def scene(height=20, width=30, channels=3):
    """One object in rows 4 to 7 and columns 5 to 14, white on black, in image, mask and map."""
    img = np.zeros((height, width, channels) if channels else (height, width), np.uint8)
    img[4:8, 5:15] = 255
    flat = img if img.ndim == 2 else img[..., 0]
    return dict(
        img=img,
        img_shape=img.shape,
        img_fields=['img'],
        bbox_fields=['gt_bboxes', 'gt_bboxes_ignore'],
        mask_fields=['gt_masks'],
        seg_fields=['gt_semantic_seg'],
        gt_bboxes=np.array([[5, 4, 15, 8]], np.float32),
        gt_bboxes_ignore=np.zeros((0, 4), np.float32),
        gt_labels=np.array([1]),
        gt_masks=BitmapMasks((flat > 0).astype(np.uint8)[None], height, width),
        gt_semantic_seg=(flat > 0).astype(np.uint8),
    )


def assert_everything_agrees(out, box):
    """The box, and that image, mask and map are filled exactly there."""
    assert out['gt_bboxes'].tolist() == [box] and out['gt_bboxes_ignore'].shape == (0, 4)
    flat = out['img'].reshape(*out['img'].shape[:2], -1)[..., 0]
    for picture in (flat > 127, out['gt_semantic_seg'], out['gt_masks'].masks[0]):
        assert BitmapMasks(np.asarray(picture, np.uint8)[None], *picture.shape).get_bboxes().tolist() == [box]


@pytest.mark.parametrize('channels', [0, 1, 3])
@pytest.mark.parametrize(
    ('size', 'keep_ratio', 'shape', 'box'),
    [
        ((60, 60), True, (40, 60), [10, 8, 30, 16]),
        ((1000, 10), True, (10, 15), [2.5, 2, 7.5, 4]),
        ((60, 60), False, (60, 60), [10, 12, 30, 24]),
    ],
)
def test_resize_hand_computed(channels, size, keep_ratio, shape, box):
    out = Resize(size, keep_ratio=keep_ratio)(scene(channels=channels))
    assert out['img'].shape == out['img_shape'] == out['pad_shape'] == shape + (channels,) * (channels > 0)
    assert out['gt_bboxes'].tolist() == [box]
    assert out['scale_factor'].tolist() == [shape[1] / 30, shape[0] / 20] * 2
    assert out['gt_masks'].masks.shape == (1, *shape) and out['gt_semantic_seg'].shape == shape
    if shape != (10, 15):
        assert_everything_agrees(out, box)


def test_resize_odd_sizes_give_each_axis_its_own_factor():
    out = Resize((50, 33))(scene(19, 31))
    assert out['img_shape'][:2] == (31, 50) and out['gt_masks'].masks.shape[1:] == (31, 50)
    assert np.allclose(out['scale_factor'], [50 / 31, 31 / 19, 50 / 31, 31 / 19])


def test_resize_clips_boxes_only_where_asked():
    for clip, x2 in ((True, 60), (False, 80)):
        data = scene() | dict(gt_bboxes=np.array([[0, 0, 40, 10]], np.float32))
        assert Resize((60, 60), bbox_clip_border=clip)(data)['gt_bboxes'][0, 2] == x2


def test_resize_draws_stay_in_their_ranges():
    np.random.seed(0)
    drawn = [Resize.random_sample([(100, 40), (60, 80)])[0] for _ in range(300)]
    assert {min(d[0] for d in drawn), max(d[0] for d in drawn)} == {80, 100}
    assert {min(d[1] for d in drawn), max(d[1] for d in drawn)} == {40, 60}
    ratios = np.array([Resize.random_sample_ratio((100, 200), (0.5, 1.5))[0] for _ in range(300)])
    assert ratios[:, 0].min() in range(50, 53) and ratios[:, 0].max() in range(147, 151)
    assert (abs(ratios[:, 1] - 2 * ratios[:, 0]) <= 1).all()
    picked = {Resize.random_select([(1, 2), (3, 4), (5, 6)]) for _ in range(50)}
    assert picked == {((1, 2), 0), ((3, 4), 1), ((5, 6), 2)}


def test_resize_takes_size_or_factor_of_a_step_before():
    assert Resize(keep_ratio=True)(scene() | dict(scale=(60, 60)))['img_shape'] == (40, 60, 3)
    assert Resize(keep_ratio=True)(scene() | dict(scale_factor=1.5))['img_shape'] == (30, 45, 3)
    once = Resize((60, 60))(scene())
    with pytest.raises(ValueError, match='override=True'):
        Resize((60, 60))(once)
    assert Resize((30, 30), override=True)(once)['img_shape'] == (20, 30, 3)


@pytest.mark.parametrize(
    ('options', 'error', 'text'),
    [
        (dict(img_scale=(1, 2), multiscale_mode='ranges'), ValueError, "one of .*got 'ranges'"),
        (dict(img_scale=[(1, 2), (3, 4)], ratio_range=(0.5, 1)), ValueError, 'exactly one img_scale'),
        (dict(img_scale=[100, 80]), TypeError, r'a tuple \(long, short\)'),
    ],
)
def test_resize_wrong_arguments(options, error, text):
    with pytest.raises(error, match=text):
        Resize(**options)
    with pytest.raises(ValueError, match='img_scale is needed'):
        Resize()(scene())
    with pytest.raises(ValueError, match='needs two sizes'):
        Resize([(1, 2), (3, 4), (5, 6)])(scene())


@pytest.mark.parametrize('channels', [0, 1, 3])
@pytest.mark.parametrize(
    ('direction', 'box'),
    [('horizontal', [15, 4, 25, 8]), ('vertical', [5, 12, 15, 16]), ('diagonal', [15, 12, 25, 16])],
)
def test_flip_hand_computed(direction, box, channels):
    out = RandomFlip(1.0, direction)(scene(channels=channels))
    assert (out['flip'], out['flip_direction']) == (True, direction)
    assert_everything_agrees(out, box)


@pytest.mark.parametrize('direction', ['horizontal', 'vertical', 'diagonal'])
@pytest.mark.parametrize('kind', [np.uint8, np.float32, np.int64, bool])
@pytest.mark.parametrize('channels', [(), (1,), (3,), (7,)])
def test_flip_image_is_a_contiguous_copy_of_the_flipped_view(direction, kind, channels):
    img = np.random.default_rng(0).integers(0, 256, (5, 6, *channels)).astype(kind)
    flipped = flip_image(img, direction)
    assert flipped.dtype == kind and flipped.flags.c_contiguous and not np.shares_memory(flipped, img)
    assert np.array_equal(flipped, mmcv.imflip(img, direction))


def test_flip_twice_gives_the_boxes_back():
    boxes = np.random.RandomState(0).rand(5, 8).astype(np.float32) * 20
    for direction in ('horizontal', 'vertical', 'diagonal'):
        assert np.allclose(flip_boxes(flip_boxes(boxes, (20, 30), direction), (20, 30), direction), boxes, atol=1e-5)


def test_flip_of_a_padded_image_moves_boxes_with_the_padding():
    out = RandomFlip(1.0)(Pad(size=(20, 40), pad_val=dict(img=0, masks=0, seg=0))(scene()))
    assert_everything_agrees(out, [25, 4, 35, 8])


def test_flip_chances_of_several_directions():
    np.random.seed(0)
    step = RandomFlip([0.2, 0.3], ['horizontal', 'vertical'])
    drawn = [step.sample() for _ in range(2000)]
    shares = [drawn.count(d) / 2000 for d in ('horizontal', 'vertical', None)]
    assert np.allclose(shares, [0.2, 0.3, 0.5], atol=0.04)
    shared = RandomFlip(0.4, ['horizontal', 'vertical'])
    assert np.allclose([shared.sample() is None for _ in range(2000)].count(True) / 2000, 0.6, atol=0.04)


def test_flip_does_what_a_step_before_decided():
    assert_everything_agrees(RandomFlip(1.0)(scene() | dict(flip=False, flip_direction=None)), [5, 4, 15, 8])
    assert_everything_agrees(RandomFlip()(scene() | dict(flip=True, flip_direction='vertical')), [5, 12, 15, 16])
    assert RandomFlip()(scene())['flip'] is False
    assert_everything_agrees(RandomFlip(direction='vertical')(scene() | dict(flip=True)), [5, 12, 15, 16])


@pytest.mark.parametrize(
    ('ratio', 'direction', 'text'),
    [
        (1.5, 'horizontal', 'add up to at most 1'),
        (-0.1, 'horizontal', r'in \[0, 1\]'),
        ([0.5], ['horizontal', 'vertical'], '1 chances in flip_ratio for 2 directions'),
        (0.5, 'horizontel', "did you mean 'horizontal'"),
    ],
)
def test_flip_wrong_arguments(ratio, direction, text):
    with pytest.raises(ValueError, match=text):
        RandomFlip(ratio, direction)


@pytest.mark.parametrize('channels', [0, 1, 3])
@pytest.mark.parametrize(
    ('options', 'shape', 'fixed'),
    [
        (dict(size=(25, 40)), (25, 40), (25, 40)),
        (dict(size_divisor=16), (32, 32), None),
        (dict(pad_to_square=True), (30, 30), (30, 30)),
        (dict(size_divisor=10), (20, 30), None),
    ],
)
def test_pad_grows_right_and_bottom(options, shape, fixed, channels):
    out = Pad(pad_val=dict(img=7, masks=0, seg=99), **options)(scene(channels=channels))
    assert out['img'].shape[:2] == shape and out['img'].ndim == (3 if channels else 2)
    assert out['pad_shape'] == out['img'].shape and out['img_shape'][:2] == (20, 30)
    assert out['pad_fixed_size'] == fixed and out['pad_size_divisor'] == options.get('size_divisor')
    assert (out['img'][20:] == 7).all() and (out['img'][:, 30:] == 7).all()
    assert (out['gt_semantic_seg'][20:] == 99).all() and out['gt_masks'].areas.tolist() == [40]
    assert out['gt_bboxes'].tolist() == [[5, 4, 15, 8]]


def test_pad_leaves_larger_images_as_they_are():
    out = Pad(size=(10, 40))(scene())
    assert out['pad_shape'] == (20, 40, 3) and out['gt_masks'].masks.shape == (1, 20, 40)


def test_pad_wrong_arguments():
    with pytest.raises(ValueError, match='one of size, size_divisor and pad_to_square'):
        Pad()
    with pytest.raises(ValueError, match='neither with size_divisor'):
        Pad(size=(1, 2), size_divisor=3)


@pytest.mark.parametrize('channels', [0, 1, 2, 3])
def test_normalise_hand_computed(channels):
    numbers = np.arange(max(channels, 1), dtype=np.float32)
    out = Normalize(numbers, numbers + 2, to_rgb=channels == 3)(scene(channels=channels))
    pixel = np.atleast_1d(out['img'][5, 6])
    assert out['img'].dtype == np.float32 and out['img'].shape == out['img_shape']
    assert np.allclose(pixel, (255 - numbers) / (numbers + 2))
    assert out['img_norm_cfg']['mean'].tolist() == numbers.tolist()


def test_normalise_turns_bgr_to_rgb_first():
    img = np.array([[[10, 20, 30]]], np.uint8)
    out = Normalize([30, 20, 0], [1, 1, 1])(dict(img=img.copy(), img_fields=['img']))
    assert out['img'].tolist() == [[[0, 0, 10]]]


@pytest.mark.parametrize('to_rgb', [False, True])
def test_normalised_planes_equal_opencv_arithmetic_to_the_last_bit(to_rgb):
    img = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    mean, std = np.float32([123.675, 116.28, 103.53]), np.float32([58.395, 57.12, 57.375])
    for view in (img, img[::-1, ::-1], img[3:20, 5:40]):
        planes = normalise_image(view, mean, std, to_rgb)
        want = mmcv.imnormalize(view, mean, std, to_rgb)
        assert np.array_equal(planes, want) and planes.dtype == want.dtype
        padded = pad_image(planes, (40, 60), (1.5, 0, -2))
        assert np.array_equal(padded, pad_image(want, (40, 60), (1.5, 0, -2)))
        tensor = image_to_tensor(padded)
        assert tensor.is_contiguous() and np.shares_memory(tensor.numpy(), padded)  # the planes need no further copy
        assert np.array_equal(tensor.numpy(), padded.transpose(2, 0, 1))


def test_seg_rescale_takes_nearest_labels():
    out = SegRescale(0.5)(scene())
    assert out['gt_semantic_seg'].shape == (10, 15) and set(np.unique(out['gt_semantic_seg'])) == {0, 1}
    assert SegRescale(1)(scene())['gt_semantic_seg'].shape == (20, 30)


def test_multi_scale_flip_gives_scales_times_flips():
    steps = [dict(type='Resize'), dict(type='RandomFlip')]
    directions = ['horizontal', 'vertical']
    data = scene()
    out = MultiScaleFlipAug(steps, [(60, 60), (30, 30)], flip=True, flip_direction=directions)(data)
    assert [shape[1] for shape in out['img_shape']] == [60] * 3 + [30] * 3
    assert out['flip_direction'] == [None, 'horizontal', 'vertical'] * 2
    assert [boxes[0, 0] for boxes in out['gt_bboxes']] == [10, 30, 10, 5, 15, 5]
    assert data['gt_bboxes'].tolist() == [[5, 4, 15, 8]] and 'scale' not in data


def test_multi_scale_flip_by_factors_and_wrong_arguments():
    out = MultiScaleFlipAug([dict(type='Resize')], scale_factor=[1.0, 2.0])(scene())
    assert [shape[1] for shape in out['img_shape']] == [30, 60]
    with pytest.raises(ValueError, match='either img_scale or scale_factor'):
        MultiScaleFlipAug([], (60, 60), 1.0)
    with pytest.raises(TypeError, match='a list of tuples'):
        MultiScaleFlipAug([], [60, 60])


def test_pairwise_iou_hand_computed():
    boxes = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [5, 5, 5, 5]], np.float32)
    want = [[1, 1 / 7, 0], [1 / 7, 1, 0], [0, 0, 0]]
    assert np.allclose(pairwise_iou(boxes, boxes), want)


def test_resize_of_a_panorama_leaves_one_pixel_at_least():
    results = dict(img=np.zeros((5, 4000, 3), np.uint8), img_fields=['img'])
    assert Resize(img_scale=(400, 200))(results)['img'].shape == (1, 400, 3)
