"""Anchors against numbers computed by hand."""

import pytest
import torch
from torch.testing import assert_close

from mmdet.core.anchor import build_prior_generator
from mmdet.core.anchor.anchor_generator import (
    AnchorGenerator,
    LegacyAnchorGenerator,
    SSDAnchorGenerator,
    YOLOAnchorGenerator,
    ssd_sizes,
)
from mmdet.core.anchor.grid import join_flags, number_of

GENERATORS = {
    'anchor': dict(type='AnchorGenerator', strides=[4, (8, 16)], ratios=[0.5, 1.0, 2.0], scales=[2, 4]),
    'legacy': dict(type='LegacyAnchorGenerator', strides=[4, 8], ratios=[1.0], scales=[2], center_offset=0.5),
    'ssd': dict(
        type='SSDAnchorGenerator', strides=[8, 16], ratios=[[2], [2, 3]], min_sizes=[9, 20], max_sizes=[16, 45]
    ),
    'yolo': dict(type='YOLOAnchorGenerator', strides=[16, 8], base_sizes=[[(10, 20)], [(4, 6), (8, 8)]]),
    'point': dict(type='MlvlPointGenerator', strides=[8, 16]),
}


def test_base_anchors_ratio_four_halves_width_and_doubles_height():
    generator = AnchorGenerator([16], ratios=[1.0, 4.0], scales=[2.0])
    assert_close(generator.base_anchors[0], torch.tensor([[-16.0, -16, 16, 16], [-8, -32, 8, 32]]))


@pytest.mark.parametrize('scale_major, widths', [(True, [8.0, 16, 4, 8]), (False, [8.0, 4, 16, 8])])
def test_base_anchors_order_follows_scale_major(scale_major, widths):
    generator = AnchorGenerator([8], ratios=[1.0, 4.0], scales=[1.0, 2.0], scale_major=scale_major)
    anchors = generator.base_anchors[0]
    assert_close(anchors[:, 2] - anchors[:, 0], torch.tensor(widths))


def test_base_anchors_octave_scales_double_after_the_octave():
    generator = AnchorGenerator([8], ratios=[1.0], octave_base_scale=4, scales_per_octave=2)
    anchors = generator.base_anchors[0]
    assert_close(anchors[:, 2] - anchors[:, 0], torch.tensor([32.0, 32 * 2**0.5]))


def test_grid_priors_run_over_columns_then_rows():
    generator = AnchorGenerator([(8, 4)], ratios=[1.0], scales=[1.0])
    (anchors,) = generator.grid_priors([(2, 3)], device='cpu')
    centers = (anchors[:, :2] + anchors[:, 2:]) / 2
    assert_close(centers, torch.tensor([[0.0, 0], [8, 0], [16, 0], [0, 4], [8, 4], [16, 4]]))
    assert_close(anchors[:, 2:] - anchors[:, :2], torch.full((6, 2), 4.0))


@pytest.mark.parametrize('name', GENERATORS)
def test_sparse_priors_equal_rows_of_the_grid(name):
    generator = build_prior_generator(GENERATORS[name])
    sizes = [(5, 7), (3, 4)]
    for level, grid in enumerate(generator.grid_priors(sizes, device='cpu')):
        inds = torch.arange(len(grid)).flip(0)[::2]
        assert_close(generator.sparse_priors(inds, sizes[level], level, device='cpu'), grid[inds])
        assert len(grid) == sizes[level][0] * sizes[level][1] * generator.num_base_priors[level]


@pytest.mark.parametrize('name', GENERATORS)
def test_priors_default_device_is_usable_everywhere(name):
    generator = build_prior_generator(GENERATORS[name])
    assert [len(p) for p in generator.grid_priors([(2, 3), (1, 1)])] == [
        6 * generator.num_base_priors[0],
        generator.num_base_priors[1],
    ]
    assert all(flags.all() for flags in generator.valid_flags([(2, 3), (1, 1)], (999, 999)))


def test_valid_flags_cover_the_padded_image_rounded_up():
    generator = AnchorGenerator([8], ratios=[1.0, 2.0], scales=[1.0])
    (flags,) = generator.valid_flags([(3, 3)], (9, 8, 3), device='cpu')
    cells = torch.tensor([[True, False, False], [True, False, False], [False, False, False]])
    assert torch.equal(flags, cells.reshape(-1).repeat_interleave(2))


@pytest.mark.parametrize('kind', GENERATORS)
def test_flags_know_how_many_of_them_are_true_until_they_are_changed(kind):
    flags = build_prior_generator(GENERATORS[kind]).valid_flags([(3, 5), (2, 2)], (18, 17), device='cpu')
    joined = join_flags(flags)
    assert [number_of(level) for level in [*flags, joined]] == [int(level.sum()) for level in [*flags, joined]]
    joined[0] = False
    assert number_of(joined) is None
    assert number_of(join_flags([flags[0], torch.tensor([True])])) is None


def test_legacy_base_anchors_end_at_the_last_pixel():
    generator = LegacyAnchorGenerator([16], ratios=[1.0], scales=[1.0], center_offset=0.5)
    assert_close(generator.base_anchors[0], torch.tensor([[0.0, 0, 15, 15]]))


def test_ssd_second_anchor_is_the_large_square():
    generator = SSDAnchorGenerator([8], [[4.0]], min_sizes=[8], max_sizes=[32], scale_major=False)
    sizes = generator.base_anchors[0][:, 2:] - generator.base_anchors[0][:, :2]
    assert_close(sizes, torch.tensor([[8.0, 8], [16, 16], [16, 4], [4, 16]]))
    assert_close(generator.base_anchors[0][0], torch.tensor([0.0, 0, 8, 8]))


def test_ssd_sizes_of_the_paper_for_300_px():
    small, large = ssd_sizes(6, 300, (0.2, 0.9))
    assert small == [30, 60, 111, 162, 213, 264]
    assert large == [60, 111, 162, 213, 264, 315]


def test_yolo_responsible_flags_mark_the_cell_of_the_centre():
    generator = YOLOAnchorGenerator([10], [[(4, 4), (8, 8)]])
    gt_bboxes = torch.tensor([[20.0, 0, 28, 18], [95, 95, 105, 105]])  # the second one is centred outside
    (flags,) = generator.responsible_flags([(2, 3)], gt_bboxes, device='cpu')
    assert flags.reshape(2, 3, 2).tolist() == [[[0, 0], [0, 0], [1, 1]], [[0, 0], [0, 0], [1, 1]]]
    (none,) = generator.responsible_flags([(2, 3)], gt_bboxes[:0], device='cpu')
    assert none.tolist() == [0] * 12


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(), 'give either scales or both'),
        (dict(scales=[1.0], octave_base_scale=4, scales_per_octave=3), 'give either scales or both'),
        (dict(octave_base_scale=4), 'give either scales or both'),
        (dict(scales=[1.0], center_offset=1.5), r'center_offset must be in \[0, 1\]'),
        (dict(scales=[1.0], center_offset=0.5, centers=[(0, 0)]), 'center_offset must be in'),
        (dict(scales=[1.0], base_sizes=[4, 8]), 'base_sizes has 2 entries for 1 strides'),
        (dict(scales=[1.0], centers=[(0, 0), (1, 1)]), 'centers has 2 entries for 1 strides'),
    ],
)
def test_anchor_generator_wrong_arguments_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        AnchorGenerator([8], ratios=[1.0], **kwargs)


def test_grid_priors_wrong_number_of_levels_is_named():
    with pytest.raises(ValueError, match='expected 1 feature maps, one for each stride, got 2'):
        AnchorGenerator([8], [1.0], [1.0]).grid_priors([(1, 1), (2, 2)], device='cpu')


def test_ssd_unknown_input_size_lists_the_known_ones():
    with pytest.raises(ValueError, match=r'must be one of \(300, 0.15\).*got \(320, 0.2\)'):
        SSDAnchorGenerator([8, 16, 32], [[2]] * 3, basesize_ratio_range=(0.2, 0.9), input_size=320)
