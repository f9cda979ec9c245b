import pytest
import torch
from roi_extractors_cases import constant_maps, generic, square_rois


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
