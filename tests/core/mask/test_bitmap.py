"""BitmapMasks: hand-made masks, empty containers and the kinds of arrays."""

import numpy as np
import pytest
import torch

from mmdet.core.mask import BitmapMasks

OPERATIONS = {
    'rescale': lambda m: m.rescale(2.0),
    'resize': lambda m: m.resize((9, 7)),
    'flip': lambda m: m.flip('diagonal'),
    'pad': lambda m: m.pad((9, 11)),
    'crop': lambda m: m.crop(np.array([1, 1, 4, 3])),
    'crop_and_resize': lambda m: m.crop_and_resize(np.zeros((0, 4)), (9, 7), np.zeros(0, int)),
    'expand': lambda m: m.expand(9, 11, 1, 2),
    'translate': lambda m: m.translate((5, 6), 2),
    'shear': lambda m: m.shear((5, 6), 0.5),
    'rotate': lambda m: m.rotate((5, 6), 90),
}


@pytest.fixture
def block():
    """5 x 6 px with rows 1 to 2 and columns 2 to 4 set."""
    mask = np.zeros((1, 5, 6), np.uint8)
    mask[0, 1:3, 2:5] = 1
    return BitmapMasks(mask, 5, 6)


@pytest.mark.parametrize('name', OPERATIONS)
def test_operations_without_masks_give_the_new_size(name):
    empty = OPERATIONS[name](BitmapMasks([], 5, 6))
    full = OPERATIONS[name](BitmapMasks(np.ones((1, 5, 6), np.uint8), 5, 6))
    want = (9, 7) if name == 'crop_and_resize' else (full.height, full.width)
    assert (len(empty), empty.height, empty.width) == (0, *want)
    assert empty.masks.shape == (0, *want)


@pytest.mark.parametrize('name', OPERATIONS)
def test_operations_leave_the_masks_as_they_were(name, block):
    before = block.masks.copy()
    OPERATIONS[name](block).masks[...] = 9
    assert np.array_equal(block.masks, before)


@pytest.mark.parametrize(
    ('operation', 'box'),
    [
        (lambda m: m, [2, 1, 5, 3]),
        (lambda m: m.flip('horizontal'), [1, 1, 4, 3]),
        (lambda m: m.flip('vertical'), [2, 2, 5, 4]),
        (lambda m: m.flip('diagonal'), [1, 2, 4, 4]),
        (lambda m: m.resize((10, 12)), [4, 2, 10, 6]),
        (lambda m: m.rescale((100, 10)), [4, 2, 10, 6]),
        (lambda m: m.crop(np.array([3, 0, 9, 9])), [0, 1, 2, 3]),
        (lambda m: m.expand(9, 11, 3, 1), [3, 4, 6, 6]),
        (lambda m: m.translate((5, 6), -1), [1, 1, 4, 3]),
        (lambda m: m.translate((5, 6), 2, 'vertical'), [2, 3, 5, 5]),
        (lambda m: m.rotate((5, 6), 180, center=(3, 2)), [2, 2, 5, 4]),
    ],
)
def test_box_after_operation_hand_computed(block, operation, box):
    moved = operation(block)
    assert moved.get_bboxes().tolist() == [box]
    x1, y1, x2, y2 = box
    assert moved.areas.tolist() == [(x2 - x1) * (y2 - y1)]


def test_shear_moves_lower_rows_further(block):
    sheared = block.shear((5, 6), 1.0)
    assert sheared.masks[0, 1].tolist() == [0, 0, 0, 1, 1, 1]
    assert sheared.masks[0, 2].tolist() == [0, 0, 0, 0, 1, 1]


def test_bool_masks_stay_bool():
    masks = BitmapMasks(np.eye(4, dtype=bool)[None], 4, 4)
    for moved in (masks.resize((8, 8)), masks.translate((4, 4), 1), masks.flip(), masks.pad((5, 5))):
        assert moved.masks.dtype == bool
    assert masks.resize((8, 8)).areas.tolist() == [16]


def test_pad_value_fills_the_new_room_only(block):
    padded = block.pad((6, 8), 1)
    assert padded.areas.tolist() == [6 + 6 * 8 - 5 * 6]


def test_crop_and_resize_takes_the_mask_of_each_box(block):
    masks = BitmapMasks(np.concatenate([block.masks, 1 - block.masks]), 5, 6)
    boxes = np.array([[2, 1, 5, 3], [2, 1, 5, 3], [0, 3, 6, 5]], np.float32)
    resized = masks.crop_and_resize(boxes, (4, 6), np.array([0, 1, 1]))
    assert resized.areas.tolist() == [24, 0, 24]
    tensor = masks.crop_and_resize_tensor(torch.from_numpy(boxes), (4, 6), torch.tensor([0, 1, 1]), 'cpu')
    assert tensor.dtype == torch.float32 and torch.equal(tensor, resized.to_tensor(torch.float32, 'cpu'))


def test_soft_crop_keeps_shares_of_pixels(block):
    soft = block.crop_and_resize(np.array([[1, 1, 5, 3]], np.float32), (1, 1), np.array([0]), binarize=False)
    assert 0.5 < soft.masks[0, 0, 0] < 1


def test_get_bboxes_empty_mask_gives_zeros():
    assert BitmapMasks(np.zeros((1, 3, 4), np.uint8), 3, 4).get_bboxes().tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize('index', [[True, False, True], [0, 2], np.array([0, 2]), slice(0, 3, 2)])
def test_getitem_picks_masks_by_any_index(index):
    masks = BitmapMasks(np.arange(3, dtype=np.uint8)[:, None, None] * np.ones((3, 2, 2), np.uint8), 2, 2)
    assert masks[index].masks[:, 0, 0].tolist() == [0, 2]
    assert masks[1].masks.shape == (1, 2, 2)


def test_wrong_arguments_say_what_is_expected(block):
    with pytest.raises(ValueError, match=r'expected masks of shape \(n, 4, 6\), got \(1, 5, 6\)'):
        BitmapMasks(block.masks, 4, 6)
    with pytest.raises(TypeError, match='an array or a list of arrays, got str'):
        BitmapMasks('mask', 5, 6)
    with pytest.raises(ValueError, match="did you mean 'horizontal'"):
        block.flip('horizontl')
    with pytest.raises(ValueError, match=r'one box of shape \(4,\), got \(1, 4\)'):
        block.crop(np.zeros((1, 4)))


def test_random_masks_depend_on_the_seed_alone():
    first, second = BitmapMasks.random(2, 8, 9, rng=3), BitmapMasks.random(2, 8, 9, rng=3)
    assert first.masks.shape == (2, 8, 9) and np.array_equal(first.masks, second.masks)


def test_pad_to_a_smaller_size_is_an_error(block):
    with pytest.raises(ValueError, match=r'5 x 6 px at \(0, 0\) do not fit on \(4, 9\) px'):
        block.pad((4, 9))
