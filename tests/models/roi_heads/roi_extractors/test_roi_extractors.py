import pytest
import torch

from mmdet.models.builder import build_roi_extractor
from mmdet.models.roi_heads.roi_extractors.single_level_roi_extractor import roi_levels

LAYER = dict(type='RoIAlign', output_size=(2, 3), sampling_ratio=2)


def single(**kwargs):
    return build_roi_extractor(
        dict(type='SingleRoIExtractor', roi_layer=LAYER, out_channels=5, featmap_strides=[4, 8, 16], **kwargs)
    )


def generic(**kwargs):
    settings = dict(type='GenericRoIExtractor', roi_layer=LAYER, out_channels=5, featmap_strides=[4, 8, 16])
    return build_roi_extractor({**settings, **kwargs})


def constant_maps():
    """Level i holds 10 ** i everywhere."""
    return [torch.full((2, 5, 256 // s, 256 // s), 10.0**i, requires_grad=True) for i, s in enumerate((4, 8, 16))]


def square_rois(*sides):
    return torch.tensor([[i % 2, 0.0, 0.0, side, side] for i, side in enumerate(sides)])


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


def test_roi_rescale_keeps_centres():
    rois = torch.tensor([[1, 10.0, 20.0, 30.0, 60.0]])
    assert single().roi_rescale(rois, 2.0).tolist() == [[1, 0, 0, 40, 80]]
    assert single().roi_rescale(rois, (0.5, 2.0)).tolist() == [[1, 0, 30, 40, 50]]


def test_generic_extractor_sums_levels():
    torch.testing.assert_close(generic()(constant_maps(), square_rois(30.0)), torch.full((1, 5, 2, 3), 111.0))


def test_generic_extractor_stacks_levels_finest_first():
    out = generic(aggregation='concat', out_channels=15)(constant_maps(), square_rois(30.0))
    torch.testing.assert_close(out[0, :, 0, 0], torch.tensor([1.0] * 5 + [10.0] * 5 + [100.0] * 5))


def test_generic_extractor_without_rois_keeps_plugins_attached():
    conv = dict(type='ConvModule', in_channels=5, out_channels=5, kernel_size=1, norm_cfg=dict(type='BN'))
    extractor = generic(pre_cfg=conv, post_cfg=dict(type='NonLocal2d', in_channels=5, reduction=1))
    feats = constant_maps()
    out = extractor(feats, torch.zeros(0, 5))
    out.sum().backward()
    assert out.shape == (0, 5, 2, 3)
    assert all(t.grad is not None for t in [*feats, *extractor.parameters()])


def test_generic_extractor_names_the_known_aggregations():
    with pytest.raises(ValueError, match='sum.*concat.*mean'):
        generic(aggregation='mean')


def test_unknown_roi_layer_names_the_nearest():
    with pytest.raises(KeyError, match='no layer .*RoiAlign.*did you mean .*RoIAlign'):
        generic(roi_layer=dict(type='RoiAlign'))
