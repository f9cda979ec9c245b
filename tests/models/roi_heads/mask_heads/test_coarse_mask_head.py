import pytest
import torch

from mmdet.models.builder import build_head


def coarse_head(**kwargs):
    settings = dict(num_fcs=1, fc_out_channels=6, in_channels=4, conv_out_channels=4, num_classes=3, roi_feat_size=8)
    return build_head(dict(type='CoarseMaskHead', **{**settings, **kwargs}))


@pytest.mark.parametrize('downsample, size', [(1, 8), (2, 4), (4, 2)])
@pytest.mark.parametrize('agnostic', [False, True])
def test_coarse_masks_are_smaller_by_the_downsampling(downsample, size, agnostic):
    head = coarse_head(downsample_factor=downsample, class_agnostic=agnostic, num_convs=1)
    head.init_weights()
    assert head(torch.randn(2, 4, 8, 8)).shape == (2, 1 if agnostic else 3, size, size)
    assert head.fc_logits.weight.unique().tolist() == pytest.approx([0.001])
    assert not [key for key in head.state_dict() if key.startswith('conv_logits')]


def test_coarse_head_refuses_no_layer():
    with pytest.raises(ValueError, match='num_fcs >= 1'):
        coarse_head(num_fcs=0)
