import pytest
import torch
from torch import nn

from mmdet.models.builder import MODELS  # noqa: F401
from mmdet.models.utils.inverted_residual import InvertedResidual


@pytest.mark.parametrize(('stride', 'out_channels', 'shortcut'), [(1, 4, True), (2, 4, False), (1, 6, False)])
def test_inverted_residual_has_a_shortcut_where_shapes_agree(stride, out_channels, shortcut):
    block = InvertedResidual(4, out_channels, 8, stride=stride).eval()
    nn.init.zeros_(block.linear_conv.bn.weight)
    x = torch.rand(1, 4, 8, 8)
    out = block(x)
    assert out.shape == (1, out_channels, 8 // stride, 8 // stride)
    assert torch.equal(out, x) if shortcut else torch.count_nonzero(out) == 0


def test_inverted_residual_options():
    block = InvertedResidual(4, 4, 4, with_expand_conv=False, se_cfg=dict(channels=4, ratio=2), drop_path_rate=0.5)
    assert not hasattr(block, 'expand_conv') and block.with_se and block.drop_path.drop_prob == 0.5
    with pytest.raises(ValueError, match='mid_channels=8 must equal in_channels=4'):
        InvertedResidual(4, 4, 8, with_expand_conv=False)
    with pytest.raises(ValueError, match='stride: expected 1 or 2, got 3'):
        InvertedResidual(4, 4, 8, stride=3)
