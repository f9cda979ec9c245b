"""Masks of annotation files: what is read, what is refused, and that lengths are checked before C code reads them."""

import numpy as np
import pycocotools.mask as mask_utils
import pytest

from mmdet.core.mask.annotation import as_polygons, run_lengths, segmentation_fault, segmentation_to_bitmap

SQUARE = [2, 1, 6, 1, 6, 4, 2, 4]


@pytest.mark.parametrize(
    'segmentation',
    [[SQUARE], SQUARE, [[2, 1], [6, 1], [6, 4], [2, 4]], [[[2, 1], [6, 1], [6, 4], [2, 4]]], [SQUARE, [1, 1, 2, 2]]],
    ids=['list', 'flat', 'pairs', 'list of pairs', 'beside two points'],
)
def test_polygons_are_read_in_every_form_that_is_sure(segmentation):
    assert as_polygons(segmentation) == [SQUARE]
    bitmap = segmentation_to_bitmap(segmentation, 8, 10)
    expected = np.zeros((8, 10), np.uint8)
    expected[1:4, 2:6] = 1
    assert np.array_equal(bitmap, expected)


@pytest.mark.parametrize(
    ('segmentation', 'fault'),
    [
        ([], 'no polygon'),
        (None, 'no polygon'),
        ('text', 'no polygon'),
        ([[]], 'no list of finite numbers|no polygon'),
        ([[1, 2, 3, 4]], 'no polygon with 3 corners'),
        ([None], 'no list of finite numbers'),
        ([[1, 2, 3, 4, 5, 6, 7]], 'no polygon with 3 corners'),
        ([[1, 2, 3, 4, 5, float('inf')]], 'no list of finite numbers'),
        ([[1, 2, 3, 4, 5, '6']], 'no list of finite numbers'),
        ([[1, 2, 3, 4, 5, 10**400]], 'no list of finite numbers'),
        ([[1, 2, 3, 4, 5, 1e9]], 'a corner is more than 160 px away'),
        (dict(size=[10, 8], counts=[80]), r'size \[10, 8\]; those of the image are \[8, 10\]'),
        (dict(size=[10**9, 10**9], counts=[1]), 'size'),
        (dict(size=None, counts=[80]), 'size None'),
        (dict(size=[8, 10], counts=[70]), 'come to 70 pixels; the image has 80'),
        (dict(size=[8, 10], counts=[100, -20]), 'come to 80 pixels'),
        (dict(size=[8, 10], counts=None), 'counts'),
        (dict(size=[8, 10], counts=''), 'cut off'),
        (dict(size=[8, 10], counts='é'), 'characters of no length'),
        (dict(size=[8, 10], counts='PPo'), 'cut off'),
        (dict(size=[8, 10], counts='oooooooooooooooo0'), 'beyond all images'),
        (dict(counts='0'), 'size'),
    ],
)
def test_impossible_masks_are_named(segmentation, fault):
    with pytest.raises(ValueError, match=fault):
        segmentation_to_bitmap(segmentation, 8, 10)
    assert segmentation_fault(segmentation, 8, 10) is not None


def test_run_lengths_equal_those_that_pycocotools_wrote():
    rng = np.random.default_rng(0)
    for density in (0.01, 0.5, 0.99):
        mask = (rng.random((211, 173)) < density).astype(np.uint8)
        rle = mask_utils.encode(np.asfortranarray(mask))
        flat = mask.ravel(order='F')
        changes = np.flatnonzero(np.diff(flat)) + 1
        expected = np.diff(np.concatenate([[0] if not flat[0] else [0, 0], changes, [flat.size]]))
        assert np.array_equal(run_lengths(rle['counts']), expected)
        for counts in (rle['counts'], rle['counts'].decode(), expected.tolist()):
            assert np.array_equal(segmentation_to_bitmap(dict(size=[211, 173], counts=counts), 211, 173), mask)
        assert segmentation_fault(rle, 211, 173) is None


def test_run_lengths_shorter_than_the_image_give_no_memory_that_nobody_wrote():
    short = mask_utils.encode(np.asfortranarray(np.ones((4, 4), np.uint8)))
    with pytest.raises(ValueError, match='come to 16 pixels; the image has 64'):
        segmentation_to_bitmap(dict(size=[8, 8], counts=short['counts']), 8, 8)
