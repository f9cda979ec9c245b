"""Point priors and the helpers of priors."""

import pytest
import torch
from torch.testing import assert_close

from mmdet.core.anchor import (
    MlvlPointGenerator,
    PointGenerator,
    anchor_inside_flags,
    build_anchor_generator,
    calc_region,
    images_to_levels,
)


def test_mlvl_points_lie_in_the_middle_of_their_cells():
    (points,) = MlvlPointGenerator([(8, 4)]).grid_priors([(2, 2)], device='cpu', with_stride=True)
    assert_close(points, torch.tensor([[4.0, 2, 8, 4], [12, 2, 8, 4], [4, 6, 8, 4], [12, 6, 8, 4]]))


def test_point_generator_gives_corners_and_stride():
    points = PointGenerator().grid_points((1, 3), stride=8, device='cpu')
    assert_close(points, torch.tensor([[0.0, 0, 8], [8, 0, 8], [16, 0, 8]]))
    flags = PointGenerator().valid_flags((2, 2), (1, 2), device='cpu')
    assert flags.tolist() == [True, True, False, False]


def test_point_generator_valid_part_larger_than_the_map_raises():
    with pytest.raises(ValueError, match=r'valid_size \(3, 2\) \(h, w\) exceeds the feature map \(2, 2\)'):
        PointGenerator().valid_flags((2, 2), (3, 2), device='cpu')


def test_images_to_levels_is_the_inverse_of_concatenation():
    levels = [torch.rand(3, n, 4) for n in (6, 2, 1)]
    for got, want in zip(images_to_levels(list(torch.cat(levels, dim=1)), [6, 2, 1]), levels):
        assert_close(got, want)


@pytest.mark.parametrize(
    'border, want', [(0, [True, False, False, False]), (5, [True, True, False, False]), (-1, [True, True, True, False])]
)
def test_anchor_inside_flags_allow_the_border(border, want):
    anchors = torch.tensor([[0.0, 0, 9, 9], [-5, 0, 14, 9], [0, 0, 10, 30], [1, 1, 2, 2]])
    valid = torch.tensor([True, True, True, False])
    assert anchor_inside_flags(anchors, valid, (12, 10, 3), border).tolist() == want


def test_anchor_touching_the_image_size_is_outside():
    anchors = torch.tensor([[0.0, 0, 10, 9]])
    assert not anchor_inside_flags(anchors, torch.ones(1, dtype=torch.bool), (12, 10)).any()


def test_calc_region_shrinks_and_clips():
    bbox = torch.tensor([0.0, 10, 20, 30])
    assert [int(v) for v in calc_region(bbox, 0.1)] == [2, 12, 18, 28]
    assert [int(v) for v in calc_region(bbox, 0, (20, 15))] == [0, 10, 15, 20]


def test_build_anchor_generator_warns_and_builds():
    with pytest.warns(DeprecationWarning, match='build_prior_generator'):
        generator = build_anchor_generator(dict(type='MlvlPointGenerator', strides=[8]))
    assert generator.num_levels == 1
