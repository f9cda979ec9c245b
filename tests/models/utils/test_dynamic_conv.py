"""Convolution with weights from a query."""

import pytest
import torch
from torch.nn import functional as F

from mmdet.models.utils.builder import build_transformer
from mmdet.models.utils.transformer import DynamicConv


def make(**changes):
    torch.manual_seed(0)
    return build_transformer(
        dict(type='DynamicConv', in_channels=4, feat_channels=3, out_channels=5, input_feat_shape=(2, 3), **changes)
    )


def test_dynamic_conv_is_registered_under_its_public_path():
    assert isinstance(make(), DynamicConv)


def test_each_roi_is_filtered_by_its_own_query():
    layer = make(with_proj=False)
    queries, rois = torch.randn(2, 4), torch.randn(2, 4, 2, 3)
    out = layer(queries, rois)
    assert out.shape == (2, 6, 5)
    for query, roi, of_roi in zip(queries, rois, out):  # as two 1x1 convolutions
        weights = layer.dynamic_layer(query)
        first = F.conv2d(roi[None], weights[:12].view(4, 3).T[..., None, None])
        first = F.layer_norm(first.flatten(2).transpose(1, 2), (3,)).relu()
        second = F.layer_norm(first @ weights[12:].view(3, 5), (5,)).relu()
        torch.testing.assert_close(of_roi, second[0])


def test_projection_gives_one_vector_and_none_for_no_roi():
    layer = make()
    assert layer(torch.randn(2, 4), torch.randn(2, 4, 2, 3)).shape == (2, 5)
    assert layer(torch.randn(0, 4), torch.randn(0, 4, 2, 3)).shape == (0, 5)


@pytest.mark.parametrize('out_channels', [None, 7])
def test_out_channels_default_to_the_input(out_channels):
    layer = DynamicConv(4, 3, out_channels, with_proj=False)
    assert layer(torch.randn(1, 4), torch.randn(1, 4, 1, 1)).size(-1) == (out_channels or 4)
