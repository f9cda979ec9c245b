import pytest
import torch
from roi_extractors_cases import constant_maps, single, square_rois

from mmdet.models.roi_heads.roi_extractors.single_level_roi_extractor import roi_levels


def test_roi_levels_follow_the_doubling_of_sizes():
    rois = square_rois(0.0, 1.0, 111.9, 112.0, 223.9, 224.0, 5000.0)
    assert roi_levels(rois, 3, finest_scale=56).tolist() == [0, 0, 0, 1, 1, 2, 2]


def test_roi_levels_use_the_area_not_a_side():
    rois = torch.tensor([[0, 0.0, 0.0, 448.0, 28.0], [0, 0.0, 0.0, 448.0, 27.0]])
    assert roi_levels(rois, 3, finest_scale=56).tolist() == [1, 0]


def test_roi_without_a_size_goes_to_the_first_level():
    rois = torch.tensor([[0, 0.0, 0.0, float('nan'), 9.0], [0, 9.0, 0.0, 0.0, 9.0], [0, 0.0, 0.0, 500.0, 500.0]])
    assert roi_levels(rois, 3, finest_scale=56).tolist() == [0, 0, 2]


def test_single_extractor_pools_each_roi_from_its_level_in_the_given_order():
    out = single()(constant_maps(), square_rois(224.0, 30.0, 120.0, 31.0, 240.0))
    assert out.shape == (5, 5, 2, 3)
    torch.testing.assert_close(out[:, 0, 0, 0], torch.tensor([100.0, 1, 10, 1, 100]))


def test_single_extractor_chooses_levels_before_it_scales_rois():
    out = single()(constant_maps(), square_rois(100.0), roi_scale_factor=1.2)
    torch.testing.assert_close(out, torch.ones(1, 5, 2, 3))


@pytest.mark.parametrize('rois', [torch.zeros(0, 5), square_rois(30.0)], ids=['no_roi', 'one_level_used'])
def test_single_extractor_keeps_every_level_attached(rois):
    feats = constant_maps()
    out = single()(feats, rois)
    out.sum().backward()
    assert out.shape == (len(rois), 5, 2, 3)
    assert all(feat.grad is not None for feat in feats)
    assert feats[2].grad.abs().sum() == 0
