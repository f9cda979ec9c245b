import pytest
import torch
from torch import nn

from mmdet.models.backbones.resnest import ResNeSt, RSoftmax, SplitAttentionConv2d


def test_rsoftmax_sums_to_one_over_the_splits_of_a_group():
    x = torch.randn(2, 12, 1, 1)  # 2 groups of 3 splits of 2 channels
    out = RSoftmax(3, 2)(x).view(2, 3, 2, 2)
    assert torch.allclose(out.sum(1), torch.ones(2, 2, 2))
    assert torch.allclose(out[:, :, 1], x.view(2, 2, 3, 2)[:, 1].softmax(1))
    assert torch.equal(RSoftmax(1, 2)(x), x.sigmoid().flatten(1))


@pytest.mark.parametrize('radix', [1, 2])
def test_split_attention_with_equal_weights_is_the_mean_of_the_splits(radix):
    conv = SplitAttentionConv2d(4, 4, 1, radix=radix).eval()
    nn.init.zeros_(conv.fc2.weight)
    nn.init.zeros_(conv.fc2.bias)
    x = torch.rand(2, 4, 3, 3)
    splits = conv.norm0(conv.conv(x)).relu().view(2, radix, 4, 3, 3)
    assert torch.allclose(conv(x), splits.sum(1) / 2, atol=1e-6)  # softmax of two zeros, sigmoid of zero


def test_resnest_has_stride_4_to_32():
    net = ResNeSt(depth=50, base_channels=4, stem_channels=8, radix=2).eval()
    assert [out.shape[-1] for out in net(torch.rand(1, 3, 64, 64))] == [16, 8, 4, 2]
    assert net.layer2[0].conv2.conv.stride == (1, 1) and net.layer2[0].avd_layer.stride == 2
